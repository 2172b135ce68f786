// What is remembered of verified tokens, and when it is forgotten.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/domain/identity.ts';
import { identityOf } from '../support/identities.ts';
import { bearer, createClock, createRecorder, refusalOf, requestWith } from './calls.ts';
import { createSigningKey, signToken, startIssuer, type TestIssuer } from './issuer.ts';

const AUDIENCE = 'https://gateway.example.org';
const key = createSigningKey('k');
const next = createSigningKey('next');
const clock = createClock();
const { log, metrics } = createRecorder();
let issuer: TestIssuer;
let identity: Identity;

const build = async (options: object = {}) => {
  const made = identityOf(
    { audience: [AUDIENCE], issuers: [{ name: 'corp', type: 'oidc', issuer: issuer.url }], ...options },
    { clock, log, metrics },
  );
  await made.start();
  return made;
};

beforeEach(async () => {
  clock.time = Date.now();
  issuer = await startIssuer([key]);
  identity = await build();
});
afterEach(async () => {
  identity.close();
  await issuer.close();
});

const token = (seconds: number, by = key) => {
  const now = Math.floor(clock.time / 1000);
  return signToken(
    { alg: 'ES256', kid: by.kid },
    { iss: issuer.url, sub: 'a', aud: AUDIENCE, iat: now, exp: now + seconds },
    by,
  );
};
const isCached = (raw: string, by = identity) => {
  const result = by.identify(bearer(raw));
  const cached = !(result instanceof Promise);
  return Promise.resolve(result).then(() => cached);
};

describe('the cache of verified tokens', () => {
  it('answers without a promise for a token that was verified before, with the same frozen principal', async () => {
    const raw = token(300);
    const first = await identity.identify(bearer(raw));
    const again = identity.identify(bearer(raw));
    expect(again).not.toBeInstanceOf(Promise);
    expect((await again).principal).toBe(first.principal);
    expect((await again).token?.reveal()).toBe(raw);
    expect(Object.isFrozen(first.principal.claims)).toBe(true);
  });

  it('verifies again after a minute', async () => {
    const raw = token(300);
    await identity.identify(bearer(raw));
    clock.time += 59_999;
    expect(await isCached(raw)).toBe(true);
    clock.time += 1;
    expect(await isCached(raw)).toBe(false);
    expect(await isCached(raw)).toBe(true);
  });

  it('refuses a cached token from the second of its expiry on', async () => {
    const raw = token(10);
    await identity.identify(bearer(raw));
    clock.time += 8_000;
    expect(await isCached(raw)).toBe(true);
    clock.time += 2_000;
    expect(await refusalOf(() => identity.identify(bearer(raw)))).toBe('token_expired/exp');
  });

  it('verifies again when the clock was set back', async () => {
    const raw = token(300);
    await identity.identify(bearer(raw));
    clock.time -= 1_000;
    expect(await isCached(raw)).toBe(false);
  });

  it('forgets what was verified under keys that have changed, though the key is still there', async () => {
    const raw = token(300);
    await identity.identify(bearer(raw));
    issuer.keys = [key, next];
    clock.time += 6_000;
    await identity.identify(bearer(token(300, next)));
    expect(await isCached(raw)).toBe(false);
  });

  it('keeps entries when the keys were fetched again and are the same', async () => {
    const raw = token(300);
    await identity.identify(bearer(raw));
    clock.time += 6_000;
    await refusalOf(() => identity.identify(bearer(token(300, next))));
    expect(issuer.requests.filter((path) => path === '/jwks')).toHaveLength(2);
    expect(await isCached(raw)).toBe(true);
  });

  it('refuses a cached token once its issuer’s keys are too old to be believed', async () => {
    identity.close();
    identity = await build({ refresh: { staleMs: 30_000 } });
    const raw = token(300);
    await identity.identify(bearer(raw));
    await issuer.close();
    clock.time += 30_000;
    expect(await refusalOf(() => identity.identify(bearer(raw)))).toBe('issuer_unavailable/keys');
    issuer = await startIssuer([key]);
  });

  it('never answers for another token, another audience or a refused one', async () => {
    const raw = token(300);
    await identity.identify(bearer(raw));
    const other = await build({ audience: ['https://other.example.org'] });
    expect(await refusalOf(() => other.identify(bearer(raw)))).toBe('token_audience/aud');
    expect(await refusalOf(() => other.identify(bearer(raw)))).toBe('token_audience/aud');
    other.close();
    const tampered = `${raw.slice(0, -8)}AAAAAAAA`;
    expect(await refusalOf(() => identity.identify(bearer(tampered)))).toMatch(/^token_(signature|malformed)\//);
  });

  it('counts fields on every call, also for a cached token', async () => {
    const raw = token(300);
    await identity.identify(bearer(raw));
    const twice = requestWith(['authorization', `Bearer ${raw}`, 'authorization', `Bearer ${raw}`]);
    expect(await refusalOf(() => identity.identify(twice))).toBe('bad_header/repeated');
  });

  it('takes the token from the field that a mount names', async () => {
    const made = await build({ tokenHeaderFor: (mount: string) => (mount === 'llm' ? 'x-agent-token' : undefined) });
    const raw = token(300);
    expect(
      await made.identify(requestWith(['authorization', 'Bearer sk-dummy', 'x-agent-token', raw], 'llm')),
    ).toBeDefined();
    expect(await refusalOf(() => made.identify(requestWith(['x-agent-token', raw], 'tools')))).toBe(
      'unauthenticated/credential',
    );
    made.close();
  });
});
