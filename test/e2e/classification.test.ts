// What the configuration says of a call: in the hold that reviewers see, in the audit record and in the log; and bound by
// an approval. Kinds of fault: a reload that reclassifies leaves an approval standing, or one that is about other calls
// voids it; a fact that a rule rests on is missing from the record; a session that cannot be opened.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { rule, type WholeConfig } from '../support/config.ts';
import { countFrom } from '../support/count.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { connectV1 } from '../support/mcp-clients.ts';
import { startMcpUpstream } from '../support/mcp-upstream.ts';
import { answered, approveTransfer, holdTransfer, transferNow } from './held.ts';

const payouts = {
  id: 'payouts',
  match: { upstream: 'api', methods: ['POST' as const], path: '/transfers' },
  ...{
    data: 'restricted',
    reversible: false,
    environment: 'production',
    operation: 'transfer' as const,
    owners: ['user:cfo'],
  },
};
const other = { id: 'others', match: { upstream: 'api', path: '/others/*' }, data: 'confidential' };

const it = gatewayTest
  .extend('bank', file, ({ closes }) => closes(startMcpUpstream()))
  .extend('env', file, ({ environment, bank }) =>
    environment({
      upstreams: {
        api: { trust: 'internal' },
        mcp: { url: bank.url, protocol: 'mcp' },
      },
      destinations: { internal: ['*.bank.example'], partner: ['*.acme.example'] },
      resources: [payouts, other],
      rules: [
        rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
        rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
        rule.deny('outward', { upstream: 'api' }, { when: 'action.destination == "external"' }),
        rule.allow('mcp', { upstream: 'mcp', tool: '*' }),
        rule.deny('mcp-sensitive', { upstream: 'mcp' }, { when: 'atLeast(action.data, "internal")' }),
        rule.deny('mcp-outward', { upstream: 'mcp' }, { when: 'action.operation == "write" && args.no == 1' }),
      ],
      limits: { wait: '20s', pendingPerAgent: 1000 },
    }),
  )
  .extend('alice', file, ({ env }) => env.reviewer('alice'));

const serial = countFrom(0);
const payment = (more: object = {}) => ({ to: 'x@a.acme.example', reference: `r${serial()}`, amount: 5, ...more });

async function withEdit(env: Environment, change: (config: WholeConfig) => void, run: () => Promise<void>) {
  const before = env.config;
  expect(await env.edit(change)).toBe('config.reloaded');
  try {
    await run();
  } finally {
    expect(await env.edit(before)).toBe('config.reloaded');
  }
}

const recordsOf = (env: Environment, hold: string): readonly Record<string, unknown>[] => {
  const folder = join(env.folder, 'data/audit');
  return readdirSync(folder)
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    .filter((line) => line.includes(hold) && line.includes('"type":"decision"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

describe('a held call', () => {
  it('shows what it is and where it leads, to reviewers and in the record', async ({ env, alice }) => {
    const id = await holdTransfer(env, payment());
    const target = { trust: 'internal', role: 'target' };
    const mention = { host: 'a.acme.example', trust: 'partner', role: 'mention' };
    expect((await alice.read<Record<string, unknown>>(`/holds/${id}`)).facts).toMatchObject({
      ...{ resources: ['payouts'], data: 'restricted', reversible: false, environment: 'production' },
      ...{ operation: 'transfer', owners: [['user:cfo']], destination: 'partner' },
      destinations: [mention, target].toSorted((a, b) => (a.role < b.role ? 1 : -1)),
    });
    await alice.approve(id);
  });

  it('has in its record what the decision rested on', async ({ env, alice }) => {
    const body = payment();
    const id = await approveTransfer(env, alice, body);
    expect((await transferNow(env, body)).status).toBe(200);
    const [record] = recordsOf(env, id).filter(({ error }) => error === undefined);
    expect(record).toMatchObject({
      classification: { resources: ['payouts'], data: 'restricted', operation: 'transfer', environment: 'production' },
      destinations: { trust: 'partner', places: [{ trust: 'internal', role: 'target' }, { host: 'a.acme.example' }] },
    });
    expect(JSON.stringify(record)).not.toContain('x@a.acme.example');
    expect(env.log.filter((line) => line.hold === id)).toContainEqual(
      expect.objectContaining({ data: 'restricted', operation: 'transfer', destination: 'partner' }),
    );
  });

  it('is void once a reload says something else of it', async ({ env, alice }) => {
    const changes: readonly ((config: WholeConfig) => void)[] = [
      (config) => {
        config.resources = [{ ...payouts, data: 'confidential' }, other];
      },
      (config) => {
        config.resources = [payouts, other, { id: 'more', match: {} }];
      },
      (config) => {
        config.destinations = { internal: ['*.bank.example', '*.acme.example'] };
      },
    ];
    for (const change of changes) {
      const body = payment();
      await approveTransfer(env, alice, body);
      await withEdit(env, change, async () => {
        expect(await transferNow(env, body)).toMatchObject({ status: 403, code: 'approval_invalidated' });
      });
    }
  });

  it('stands when a reload is about other calls', async ({ env, alice }) => {
    const body = payment();
    await approveTransfer(env, alice, body);
    const unrelated = (config: WholeConfig) => {
      config.resources = [payouts, { ...other, data: 'restricted' }, { id: 'new', match: { path: '/new' } }];
      config.destinations = {
        ...config.destinations,
        internal: ['*.bank.example', 'new.example'],
        extra: ['a.example'],
      };
    };
    await withEdit(env, unrelated, async () => {
      expect((await transferNow(env, body)).status).toBe(200);
    });
  });
});

describe('a rule over what calls are', () => {
  it('judges the call by its destination, before people are asked', async ({ env }) => {
    expect(await transferNow(env, payment({ note: 'https://evil.example' }))).toMatchObject({ code: 'denied' });
    expect(await answered(env.call('/api/accounts?next=https%3A%2F%2Fevil.example'))).toMatchObject({ code: 'denied' });
    expect((await answered(env.call('/api/accounts?next=https%3A%2F%2Fa.bank.example'))).status).toBe(200);
  });

  // Nothing classifies `initialize` or `tools/list`, so conditions over the classification would fail and deny them.
  it('does not keep an agent from opening an MCP session and listing tools', async ({ env }) => {
    const { client } = await connectV1(env, 'mcp');
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await client.ping();
    const { isError } = await client.callTool({ name: 'add', arguments: { no: 1 } });
    expect(isError).toBe(true);
  });
});
