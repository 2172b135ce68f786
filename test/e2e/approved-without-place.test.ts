// Kind: what becomes of an approval whose call cannot leave: its upstream has as many calls under way as it is given,
// or something fails between the claim and the first byte. An approval is never lost without a word, nothing false is
// said of it, and it is used once at most.

import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect } from 'vitest';
import { rule } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { answered, approveTransfer, becomes, holdTransfer, transferNow } from './held.ts';

const serial = countFrom(0);
const bill = () => ({ to: 'ACME', reference: `place-${serial()}` });
const waiting: ServerResponse[] = [];

const it = gatewayTest
  .extend('env', file, async ({ environment }) => {
    const env = await environment(({ origin, issuer }) => ({
      upstreams: {
        api: { pool: { connections: 1, queue: 5, wait: '1s' } },
        tools: { url: `${origin}/mcp`, protocol: 'mcp', pool: { connections: 1, queue: 5, wait: '1s' } },
        broken: { url: origin, credential: 'dead' },
      },
      credentials: {
        dead: {
          type: 'oauth-client-credentials',
          issuer,
          clientId: 'unused',
          clientSecret: { env: 'E2E_SECRET' },
          scope: 'pay',
          resource: 'urn:x',
        },
      },
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
        rule.hold('transfers', { methods: ['POST'], path: '/transfers' }),
        rule.allow('peek', { upstream: 'tools', tool: 'peek' }),
        rule.hold('pay', { upstream: 'tools', tool: 'pay' }),
      ],
    }));
    env.upstream.respond((request, response) => {
      const message = request.url.startsWith('/mcp') ? JSON.parse(request.body) : undefined;
      const answer = message && {
        jsonrpc: '2.0',
        id: message.id,
        result: { content: [{ type: 'text', text: 'done' }] },
      };
      response.setHeader('content-type', 'application/json');
      if (request.method === 'GET' || message?.params.name === 'peek') waiting.push(response);
      else response.end(JSON.stringify(answer ?? { ok: true }));
    });
    return env;
  })
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

afterEach(() => letGo());

const letGo = (): void => {
  for (const response of waiting.splice(0)) response.end('{}');
};

/** Somebody else takes the only place. Resolves once the upstream has that call; what it gives is its answer. */
async function fill(
  env: Environment,
  path: string,
  more: object = {},
): Promise<{ readonly answer: Promise<Response> }> {
  const before = env.upstream.requests.length;
  const answer = env.call(path, { as: 'agent-2', ...more });
  await env.upstream.arrived(before);
  return { answer };
}

const ran = (env: Environment, reference: string) =>
  env.upstream.requests.filter(({ body }) => body.includes(reference)).length;
const STAYS = { code: 'too_many_calls', detail: expect.stringMatching(/Nothing was executed\..*The hold is hold_/) };

describe('an approved call that finds no place at its upstream', () => {
  it.for([
    ['', {}],
    [' and has an Idempotency-Key', { headers: { 'idempotency-key': 'place-key' } }],
  ] as const)(
    'keeps its approval%s, says so, and is executed once when it comes again',
    async ([_what, options], { env, alice }) => {
      const body = bill();
      const id = await approveTransfer(env, alice, body, options);
      const other = await fill(env, '/api/ledger');
      const refused = await transferNow(env, body, options);
      expect([refused.status, refused.hold, refused.headers.get('retry-after')]).toEqual([429, id, '1']);
      expect(refused.json).toMatchObject(STAYS);
      expect(refused.text).toContain('The approval stays');
      expect([(await alice.show(id)).state, ran(env, body.reference)]).toEqual(['APPROVED', 0]);
      letGo();
      await (await other.answer).text();
      const done = await transferNow(env, body, options);
      expect([done.status, done.hold, ran(env, body.reference)]).toEqual([200, id, 1]);
      await becomes(alice, id, 'EXECUTED');
    },
  );

  it('goes first when a place becomes free while it waits', async ({ env, alice }) => {
    const body = bill();
    const other = await fill(env, '/api/ledger');
    const pending = answered(env.transfer(body));
    await expect.poll(() => alice.list()).toHaveLength(1);
    const [hold] = await alice.list();
    await alice.approve(hold?.id ?? '');
    letGo();
    await (await other.answer).text();
    expect([(await pending).status, ran(env, body.reference)]).toEqual([200, 1]);
  });

  it('keeps its approval when its agent leaves while it waits for a place', async ({ env, alice }) => {
    const body = bill();
    const other = await fill(env, '/api/ledger');
    const aborter = new AbortController();
    const left = env.transfer(body, { signal: aborter.signal }).catch((error: Error) => error.name);
    await expect.poll(() => alice.list()).toHaveLength(1);
    const id = (await alice.list())[0]?.id ?? '';
    await alice.approve(id);
    aborter.abort();
    expect(await left).toBe('AbortError');
    await expect.poll(() => env.log.some((line) => JSON.stringify(line).includes('client_closed'))).toBe(true);
    letGo();
    await (await other.answer).text();
    expect((await alice.show(id)).state).toBe('APPROVED');
    expect([(await transferNow(env, body)).status, ran(env, body.reference)]).toEqual([200, 1]);
  });

  it('is told so as a tool result over MCP', async ({ env, alice }) => {
    const reference = bill().reference;
    const call = (name: string, id: number) => ({
      method: 'POST',
      headers: { accept: 'application/json, text/event-stream', prefer: 'wait=0' },
      body: { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: { reference } } },
    });
    // biome-ignore lint/suspicious/noExplicitAny: a result is read by its path
    const pay = async (id: number): Promise<any> => (await answered(env.call('/tools', call('pay', id)))).json.result;
    const pending = await pay(1);
    const id = pending._meta['countersign/hold'];
    await alice.approve(id);
    const other = await fill(env, '/tools', call('peek', 2));
    const refused = await pay(3);
    expect(refused).toMatchObject({
      isError: true,
      _meta: { 'countersign/code': 'too_many_calls', 'countersign/hold': id, 'countersign/retryAfter': 1 },
    });
    expect(refused.content[0].text).toContain('The approval stays');
    letGo();
    await (await other.answer).text();
    expect(await pay(4)).toMatchObject({ content: [{ text: 'done' }] });
    expect((await alice.show(id)).state).toBe('EXECUTED');
  });
});

it('a call that fails between the claim of its approval and its first byte says that the approval is spent, and asking again says nothing else', async ({
  env,
  alice,
}) => {
  const body = bill();
  const send = () => answered(env.call('/broken/transfers', { method: 'POST', body, headers: { prefer: 'wait=0' } }));
  const { hold: id } = await send();
  await alice.approve(id);
  const failed = await send();
  expect([failed.code, failed.hold]).toEqual(['credential_unavailable', id]);
  expect(failed.json.detail).toMatch(/The approval of this call is spent\. Nothing was executed\./);
  const view = await answered(env.call(`/countersign/v1/holds/${id}`));
  const again = await send();
  expect([again.code, again.hold]).toEqual(['approval_expired', id]);
  for (const text of [view.text, again.text]) {
    expect(text).toMatch(/the approval is spent/i);
    expect(text).not.toMatch(/nobody decided|no decision|time ran out/i);
  }
  expect([(await send()).code, ran(env, body.reference)]).toEqual(['approval_pending', 0]);
  await alice.deny(await holdTransfer(env, bill()));
});
