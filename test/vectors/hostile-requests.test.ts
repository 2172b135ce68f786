// What agents, scanners and attackers send to HTTP servers, from public suites and lists that this project did not
// write. Kind: a request that the gateway and a server behind it read in two ways. The corpus lies outside of the
// repository; where it is absent, the test is skipped.

import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { INJECTED_SECRET } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { aim, type Vector } from './aim.ts';
import { type Expected, faultsOf, leaves } from './bypass.ts';
import { startStrictUpstream } from './strict-upstream.ts';

const CORPUS = new URL('../../../shared/vectors/hostile-requests.jsonl', import.meta.url);
/** Connections at a time, and how long each is kept open. */
const AT_A_TIME = 160;
const OPEN_MS = 500;
const PATIENCE_MS = 8_000;

describe('the judge', () => {
  it.each([
    '/public/../admin',
    '/public/%2e%2e/admin',
    '/public/..%252fadmin',
    '/public/..\\admin',
    '/public/..;/admin',
    '/public/..%00/admin',
    '/public/%ef%bc%8e./a',
    '/public/.. /a',
    '/admin',
  ])('sees that %s leaves the folder', (path) => expect(leaves(path, '/public/')).toBe(true));
  it.each(['/public/a', '/public/a/../b', '/public/...', '/public/a;b=c', '/public/%41', '/public/a..b'])(
    'sees that %s stays in it',
    (path) => expect(leaves(path, '/public/')).toBe(false),
  );

  const expected: Expected = { host: 'up', authorization: 'Bearer in', agentToken: 'agent', below: '/public/' };
  const fields = ['host: up', 'authorization: Bearer in', 'x-corpus: 1'];
  it.each([
    ['nothing', 'GET /public/a?x=/../ HTTP/1.1', fields, 0],
    ['two lengths', 'GET /public/a HTTP/1.1', [...fields, 'content-length: 1', 'content-length: 1'], 1],
    ['a length that is none', 'GET /public/a HTTP/1.1', [...fields, 'content-length: +1'], 1],
    ['a second request line', 'GET /public/a HTTP/1.1', [...fields, 'GET /b HTTP/1.1'], 1],
    ['another form of target', 'GET http://up/public/a HTTP/1.1', fields, 1],
    ['another caller’s field', 'GET /public/a HTTP/1.1', [...fields, 'x-forwarded-for: a'], 1],
    ['a second credential', 'GET /public/a HTTP/1.1', [...fields, 'authorization: Bearer in'], 1],
    ['what was smuggled', 'GET /public/a HTTP/1.1', [...fields.slice(0, 2), 'x-smuggled: 1'], 2],
  ])('finds %s', (_what, line, lines, count) => {
    expect(faultsOf({ line, fields: lines, text: [line, ...lines].join('\r\n') }, expected)).toHaveLength(count);
  });
});

const it = gatewayTest
  .extend('upstream', file, ({ closes }) => closes(startStrictUpstream()))
  .extend('env', file, ({ upstream, environment }) =>
    environment({
      upstreams: { api: { url: upstream.origin } },
      rules: [rule.allow('public', { upstream: 'api', path: '/public/*' })],
    }),
  );

describe.skipIf(!existsSync(CORPUS))(
  'an outside corpus of hostile requests (skipped where ../shared/vectors is absent)',
  () => {
    it('gets nothing past the gateway', { timeout: 120_000 }, async ({ upstream, env }) => {
      const vectors = readFileSync(CORPUS, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Vector);
      const host = `127.0.0.1:${env.ports.agents}`;
      const token = await env.token('agent-1');
      const expected: Expected = {
        host: new URL(upstream.origin).host,
        authorization: `Bearer ${INJECTED_SECRET}`,
        agentToken: token,
        below: '/public/',
      };
      const findings: string[] = [];
      const statuses = new Map<string, number>();

      const queue = vectors.entries();
      await Promise.all(
        Array.from({ length: AT_A_TIME }, async () => {
          for (const [number, vector] of queue) {
            const text = await exchange(env.ports.agents, aim(vector, { host, token, number }));
            const name = `${vector.group} ${vector.id} (${number})`;
            for (const [, status = ''] of text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)) {
              statuses.set(status, (statuses.get(status) ?? 0) + 1);
              if (status.startsWith('5') && status !== '502' && status !== '504')
                findings.push(`${name}: the gateway answers ${status}`);
            }
            if (text.includes(INJECTED_SECRET)) findings.push(`${name}: the injected secret comes back`);
          }
        }),
      );
      for (const received of upstream.requests) {
        const number = received.fields
          .find((field) => /^x-corpus:/i.test(field))
          ?.slice(9)
          .trim();
        for (const fault of faultsOf(received, expected))
          findings.push(`${number === undefined ? '?' : vectors[Number(number)]?.id}: ${fault}`);
      }
      for (const text of upstream.leftovers()) findings.push(`no request: ${JSON.stringify(text.slice(0, 200))}`);
      expect(findings).toEqual([]);

      // It was aimed well: a good part came through, and most was refused for what it is, not for who sent it or how
      // fast.
      expect(upstream.requests.length).toBeGreaterThan(vectors.length / 5);
      expect(statuses.get('400')).toBeGreaterThan(vectors.length / 2);
      expect([statuses.get('401'), statuses.get('429')]).toEqual([undefined, undefined]);
      expect((await env.call('/api/public/t', { headers: { 'x-corpus': 'after' } })).status).toBe(200);
    });
  },
);

/**
 * Sends these bytes on a connection of their own and gives what came while it was open: for half a second, and until
 * the gateway has said something, if it does. Some of these requests have no end, so that nothing is said to them.
 */
function exchange(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => void socket.write(bytes));
    const began = performance.now();
    const end = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.once('data', () => setTimeout(() => socket.destroy(), Math.max(0, OPEN_MS - (performance.now() - began))));
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(end);
      resolve(text);
    });
  });
}
