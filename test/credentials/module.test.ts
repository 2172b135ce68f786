import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { type JsonPeer, startJsonPeer } from '../support/json-peer.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';

const EXAMPLE = resolve('config/examples/ticket-provider.ts');
const folder = mkdtempSync(join(tmpdir(), 'countersign-module-'));
let desk: JsonPeer | undefined;
let serial = 0;
afterEach(() => desk?.close());
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const load = (source: string, more: object = {}) => {
  const path = join(folder, `provider-${serial++}.ts`);
  writeFileSync(path, source);
  return providerOf({ type: 'module', path, ...more });
};
/** A module whose mint gives this expression. */
const minting = (minted: string, more: object = {}) =>
  load(
    `export default (options: object, { Secret }: any) => ({ type: 'own', shareable: true, async mint(grant: any) { return ${minted}; } });`,
    more,
  );
const GOOD = `{ injection: { in: 'header', name: 'x-key', value: new Secret('v') }, secrets: [new Secret('v')], revocability: 'none', granted: {} }`;

describe('a provider from a module', () => {
  it('makes credentials by the documented example, narrowed, recorded and taken back', async () => {
    const peer = await startJsonPeer(({ method, body }) =>
      method === 'DELETE'
        ? { body: '' }
        : {
            body: {
              ticket: 'ticket-literal-1',
              rights: (JSON.parse(body) as { rights: string[] }).rights,
              seconds: 60,
            },
          },
    );
    desk = peer;
    const options = { desk: peer.url, user: 'gateway', rights: ['read', 'sell'] };
    const provider = providerOf({
      type: 'module',
      path: EXAMPLE,
      options,
      secrets: { password: secretOf('password-literal') },
    });
    const grant = grantOf({ rights: ['read'] });
    const minted = await provider.mint(grant);
    expect(provider).toMatchObject({ type: 'ticket', shareable: true });
    expect(minted).toMatchObject({
      revocability: 'token',
      granted: { rights: ['read'] },
      expiresAt: grant.now + 60_000,
    });
    expect(minted.injection).toMatchObject({ in: 'header', name: 'x-ticket' });
    await provider.revoke?.(minted.handle as Secret);
    expect(peer.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /tickets',
      'DELETE /tickets/ticket-literal-1',
    ]);
    await expect(provider.mint(grantOf({ rights: ['burn'] }))).rejects.toMatchObject({
      code: 'credential_unavailable',
    });
  });

  it('hands over what was granted too broadly, so that it is taken back', async () => {
    const peer = await startJsonPeer(() => ({
      body: { ticket: 'ticket-literal-2', rights: ['read', 'burn'], seconds: 60 },
    }));
    desk = peer;
    const provider = providerOf({
      type: 'module',
      path: EXAMPLE,
      options: { desk: peer.url, user: 'gateway', rights: ['read'] },
    });
    const thrown = await provider.mint(grantOf()).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'credential_too_broad', unwanted: { handle: expect.any(Secret) } });
  });

  it.each([
    ['no default export', 'export const provider = 1;', 'no default export'],
    ['an export that makes nothing', 'export default () => undefined;', 'does not make a provider'],
    ['a provider without mint', "export default () => ({ type: 'x' });", 'does not make a provider'],
    ['options that it refuses', "export default () => { throw new Error('secret-literal'); };", 'refuses its options'],
    ['a syntax error', 'export default (;', 'cannot be loaded'],
    ['a missing package', "import 'no-such-package-here'; export default () => ({});", 'cannot be loaded'],
  ])('is refused when the configuration is read for %s, without quoting it', (_, source, why) => {
    let message = '';
    try {
      load(source);
    } catch (thrown) {
      message = String(thrown);
    }
    expect(message).toContain(why);
    expect(message).not.toContain('secret-literal');
  });

  it.each([
    GOOD.replace("'x-key'", "'Host'"),
    GOOD.replace("'x-key'", "'transfer-encoding'"),
    GOOD.replace("'x-key'", "'a\\r\\nb'"),
    GOOD.replace("[new Secret('v')]", '[]'),
    GOOD.replace("[new Secret('v')]", "['v']"),
    GOOD.replace("value: new Secret('v')", "value: 'v'"),
    GOOD.replace("'none'", "'perhaps'"),
    GOOD.replace('granted: {}', 'granted: null'),
    'undefined',
  ])('is not used when it makes %s', async (minted) => {
    await expect(minting(minted).mint(grantOf())).rejects.toMatchObject({ code: 'credential_unavailable' });
  });

  it('may make what is well-formed', async () => {
    expect((await minting(GOOD).mint(grantOf())).injection).toMatchObject({ in: 'header', name: 'x-key' });
  });

  it('may not take for ever', async () => {
    await expect(minting('await new Promise(() => {})', { timeout: '100ms' }).mint(grantOf())).rejects.toMatchObject({
      detail: expect.stringContaining('in time'),
    });
  });
});
