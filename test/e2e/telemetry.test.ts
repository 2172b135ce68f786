// What the gateway tells about its calls, as a real OTLP receiver, Prometheus, the log and the audit folder get it:
// three linked traces of a held call, everything refused or failed whatever the sampler says, and nowhere a token or a
// secret.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, vi } from 'vitest';
import { type Rules, rule } from '../support/config.ts';
import { type Environment, INJECTED_SECRET, startEnvironment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { startIssuer } from '../support/oidc-issuer.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { type Recorder, startRecorder } from '../support/recorder.ts';

const PATIENCE = { timeout: 20_000 };
const CLIENT_SECRET = 'client-secret-5a1d77c0e9';
const ARGUMENT = 'argument-literal-77aa51';
const QUERY = 'query-literal-31cd90';
const RULES: Rules = [
  rule.allow('reads', { methods: ['GET'] }),
  rule.hold(
    'transfers',
    { upstream: 'ledger', methods: ['POST'], path: '/transfers' },
    { credential: { scope: 'write' } },
  ),
];

/** What was played, and everything that was said about it. */
interface Story {
  readonly receiver: OtlpReceiver;
  readonly holdId: string;
  /** Ids of the calls in the log, by what became of them. */
  readonly calls: Readonly<Record<'allowed' | 'denied' | 'unauthenticated' | 'failed' | 'upstreamError', string>>;
  /** The places where nothing secret may be, by name. */
  readonly said: Readonly<Record<string, string>>;
  /** What must not be in them. */
  readonly literals: Readonly<Record<string, string>>;
  readonly metrics: string;
}

const it = gatewayTest
  .extend('receiver', file, ({ closes }) => closes(startOtlpReceiver()))
  .extend('ledger', file, ({ closes }) => closes(startRecorder()))
  .extend('issuer', file, ({ closes }) =>
    closes(
      startIssuer({
        clients: [{ id: 'countersign', secret: CLIENT_SECRET, resource: 'urn:ledger' }],
        resources: { 'urn:ledger': { scope: 'read write' } },
      }),
    ),
  )
  .extend('env', file, ({ receiver, ledger, issuer, environment }) =>
    environment(
      {
        upstreams: {
          ledger: { url: ledger.origin, credential: 'minted' },
          gone: { url: 'http://127.0.0.1:1', credential: 'key' },
        },
        credentials: {
          minted: {
            type: 'oauth-client-credentials',
            issuer: issuer.issuer,
            clientId: 'countersign',
            clientSecret: { env: 'E2E_CLIENT_SECRET' },
            resource: 'urn:ledger',
            scope: 'read write',
          },
        },
        rules: RULES,
      },
      {
        env: {
          E2E_CLIENT_SECRET: CLIENT_SECRET,
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          OTEL_TRACES_SAMPLER: 'traceidratio',
          OTEL_TRACES_SAMPLER_ARG: '0',
        },
      },
    ),
  )
  .extend('story', file, ({ receiver, ledger, env }) => play(receiver, ledger, env));

async function play(receiver: OtlpReceiver, ledger: Recorder, env: Environment): Promise<Story> {
  const alice = await env.reviewer('alice');
  const texts: string[] = [];
  const calls: Record<string, string> = {};
  const seen = new Set<string>();
  const call = async (name: string, path: string, options: Parameters<Environment['call']>[1] = {}): Promise<void> => {
    const headers = {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      baggage: `k=${ARGUMENT}`,
      ...options.headers,
    };
    const response = await env.call(path, { ...options, headers });
    texts.push(JSON.stringify([...response.headers]), await response.text());
    const line = await completed(env, (id) => !seen.has(id));
    seen.add(line);
    calls[name] = line;
  };

  await call('allowed', `/api/accounts?note=${QUERY}`);
  await call('denied', `/api/accounts?note=${QUERY}`, { method: 'DELETE' });
  const foreign = await env.token('agent-1', { aud: 'somebody-else' });
  await call('unauthenticated', '/api/accounts', { claims: { aud: 'somebody-else' } });
  await call('failed', '/gone/accounts');
  env.upstream.respond(({ headers }, response) => response.writeHead(500).end(`cannot take ${headers.authorization}`));
  await call('upstreamError', '/api/accounts');

  const { hold } = await alice.expect('PENDING');
  const answer = call('held', `/ledger/transfers?note=${QUERY}`, { method: 'POST', body: { to: ARGUMENT } });
  const holdId = await hold;
  const listed = await (await alice.request('/holds?state=pending')).text();
  await alice.vote(holdId, 'approve', { reason: 'it is fine' });
  await answer;
  const shown = await (await alice.request(`/holds/${holdId}`)).text();
  const minted = ledger.requests[0]?.headers.authorization?.replace('Bearer ', '') ?? '';
  const metrics = await (await fetch(`http://127.0.0.1:${env.ports.ops}/metrics`)).text();
  const ready = await (await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`)).text();
  // An orderly end sends all that waits.
  expect(await env.terminate()).toBe(0);
  const data = join(env.folder, 'data');
  const read = (folder: string): string =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => readFileSync(join(folder, name), 'latin1'))
      .join('\n');
  return {
    receiver,
    holdId,
    calls: calls as Story['calls'],
    metrics,
    said: {
      otlp: receiver.text(),
      metrics,
      ready,
      log: JSON.stringify(env.log),
      audit: read(join(data, 'audit')),
      store: read(data),
      answers: texts.join('\n'),
      review: listed + shown,
    },
    literals: {
      token: await env.token('agent-1'),
      foreign,
      reviewer: alice.token,
      injected: INJECTED_SECRET,
      client: CLIENT_SECRET,
      minted,
    },
  };
}

/** The id of the first completed call in the log that fits. */
function completed(env: Environment, fits: (id: string) => boolean): Promise<string> {
  return vi.waitFor(() => {
    const line = env.log.find(({ event, call }) => event === 'countersign.call.completed' && fits(String(call)));
    if (line === undefined) throw new Error('the call has no line in the log');
    return String(line.call);
  }, PATIENCE);
}

const spans = (story: Story): readonly ReceivedSpan[] => story.receiver.spans;
const ofHold = (story: Story): readonly ReceivedSpan[] =>
  spans(story).filter(({ attributes }) => attributes['countersign.hold.id'] === story.holdId);
const ofCall = (story: Story, name: keyof Story['calls']): readonly ReceivedSpan[] =>
  spans(story).filter(({ attributes }) => attributes['countersign.call.id'] === story.calls[name]);
const place = ({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): string =>
  `${traceId}/${spanId}`;
const links = (span: ReceivedSpan): readonly string[] => (span.links ?? []).map(place);

function named(story: Story, name: string): ReceivedSpan {
  const found = ofHold(story).filter((span) => span.name === name);
  expect(found, `spans of the hold: ${ofHold(story).map((span) => span.name)}`).toHaveLength(1);
  return found[0] as ReceivedSpan;
}

describe('a held call', () => {
  it('leaves three traces that are linked in both directions', ({ story }) => {
    const admit = named(story, 'POST /ledger');
    const request = named(story, 'countersign.approval.request');
    const review = named(story, 'countersign.approval.review');
    const release = named(story, 'countersign.release');
    expect(new Set([admit.traceId, request.traceId]).size).toBe(2);
    expect([review.traceId, review.parentSpanId]).toEqual([request.traceId, request.spanId]);
    expect([release.traceId, release.parentSpanId]).toEqual([admit.traceId, admit.spanId]);
    expect(links(admit)).toContain(place(request));
    expect(links(request)).toEqual([place(admit)]);
    expect(links(review)).toEqual([place(admit)]);
    expect(links(release)).toEqual([place(request), place(review)]);
  });

  it('has the mint, the send and the revocation as children of its release', ({ story }) => {
    const release = named(story, 'countersign.release');
    const children = spans(story).filter(({ parentSpanId }) => parentSpanId === release.spanId);
    expect(children.map(({ name }) => name).sort()).toEqual([
      'POST',
      'countersign.credential.mint',
      'countersign.credential.revoke',
    ]);
    expect(named(story, 'countersign.credential.mint').attributes).toMatchObject({
      'countersign.credential.provider': 'oauth-client-credentials',
      'countersign.credential.revocability': expect.any(String),
    });
  });

  it('names both traces on every span that could be found alone', ({ story }) => {
    const ids = {
      'countersign.call.trace_id': named(story, 'POST /ledger').traceId,
      'countersign.approval.trace_id': named(story, 'countersign.approval.request').traceId,
    };
    for (const name of [
      'POST /ledger',
      'countersign.approval.request',
      'countersign.approval.review',
      'countersign.release',
    ])
      expect(named(story, name).attributes).toMatchObject(ids);
  });

  it('says on every span who, what and by which rule', ({ env, story }) => {
    expect(ofHold(story).length).toBe(7);
    for (const { attributes } of ofHold(story)) {
      expect(attributes).toMatchObject({
        'countersign.decision': 'hold',
        'countersign.agent.id': `${env.issuer.issuer}#agent-1`,
        'countersign.action.digest': expect.stringMatching(/^[\w-]{43,}$/),
        'countersign.policy.digest': expect.stringMatching(/^[\w-]{43,}$/),
        'countersign.rule.ids': ['transfers'],
      });
    }
    expect(named(story, 'countersign.release').attributes).toMatchObject({
      'countersign.hold.outcome': 'EXECUTED',
      'http.response.status_code': 200,
    });
  });

  it('takes the agent’s own trace as a link and never as its parent', ({ ledger, story }) => {
    expect(links(named(story, 'POST /ledger'))).toContain('0af7651916cd43dd8448eb211c80319c/b7ad6b7169203331');
    expect(spans(story).map(({ traceId }) => traceId)).not.toContain('0af7651916cd43dd8448eb211c80319c');
    expect(ledger.requests[0]?.headers).not.toHaveProperty('traceparent');
  });

  it('is tied to the audit log by its trace ids', ({ story }) => {
    expect(story.said.audit).toContain(named(story, 'countersign.release').traceId);
    expect(story.said.audit).toContain(named(story, 'countersign.release').spanId);
  });
});

describe('a sampler that keeps nothing', () => {
  it('keeps no span of an allowed call', ({ story }) => expect(ofCall(story, 'allowed')).toEqual([]));

  it.for([
    ['denied', 'deny', 'no_matching_rule', 403],
    ['unauthenticated', 'error', 'token_audience', 401],
    ['failed', 'allow', 'upstream_unreachable', 502],
    ['upstreamError', 'allow', '500', 500],
  ] as const)('keeps a call that was %s', ([name, decision, error, status], { story }) => {
    const root = ofCall(story, name).find(({ kind }) => kind === 'SPAN_KIND_SERVER');
    expect(root?.attributes).toMatchObject({
      'countersign.decision': decision,
      'error.type': error,
      'http.response.status_code': status,
    });
    expect(root?.status?.code === 'STATUS_CODE_ERROR').toBe(status >= 500);
  });
});

describe('metrics', () => {
  const names = [
    'http.server.request.duration',
    'http.client.request.duration',
    'countersign.decisions',
    'countersign.holds.active',
    'countersign.hold.duration',
    'countersign.credential.mint.duration',
    'countersign.credential.revocations',
    'countersign.audit.append.duration',
    'countersign.tokens.refused',
  ];

  it.for(names)('%s is there for Prometheus and for OTLP', (name, { story }) => {
    expect(story.metrics).toMatch(new RegExp(`^${name.replaceAll('.', '_')}`, 'm'));
    expect(story.receiver.metrics.map((metric) => metric.name)).toContain(name);
  });

  it('have no ids as labels', ({ story }) => {
    for (const id of ['agent-1', 'alice', story.holdId, story.calls.failed])
      expect(story.metrics.includes(id), id).toBe(false);
  });
});

describe('secrets and tokens', () => {
  const places = ['otlp', 'metrics', 'ready', 'log', 'audit', 'store', 'answers', 'review'];
  const forms = (literal: string): readonly string[] => [
    literal,
    ...literal
      .split('.')
      .filter((part) => part.length > 40 && part !== literal)
      .slice(-1),
    encodeURIComponent(literal),
    // The characters of base64 that stand for the literal alone, at each of its three alignments.
    ...[0, 1, 2].map((offset) =>
      Buffer.concat([Buffer.alloc(offset), Buffer.from(literal)])
        .toString('base64')
        .slice(offset === 0 ? 0 : 4, -4),
    ),
  ];

  it.for(places)('are not in %s', (name, { story }) => {
    const text = story.said[name] ?? '';
    expect(text.length).toBeGreaterThan(50);
    for (const [kind, literal] of Object.entries(story.literals)) {
      expect(literal.length, kind).toBeGreaterThan(10);
      for (const form of forms(literal)) expect(text.includes(form), `${kind} in ${name}`).toBe(false);
    }
  });

  it.for(['otlp', 'metrics', 'log', 'audit'])('nor are arguments, queries and baggage in %s', (name, { story }) => {
    for (const literal of [ARGUMENT, QUERY]) expect(story.said[name]?.includes(literal), literal).toBe(false);
  });
});

describe('an exporter that cannot reach its receiver', () => {
  it('harms no call, is counted, and does not keep the process from ending', async () => {
    const settings = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
    };
    const alone = await startEnvironment({}, { env: settings });
    try {
      for (let i = 0; i < 20; i++) expect((await alone.call('/api/accounts')).status).toBe(200);
      const metrics = async () => (await fetch(`http://127.0.0.1:${alone.ports.ops}/metrics`)).text();
      await expect.poll(metrics, PATIENCE).toMatch(/^countersign_telemetry_export_failures\S* [1-9]/m);
      expect((await alone.call('/api/accounts')).status).toBe(200);
      expect(await alone.terminate()).toBe(0);
    } finally {
      await alone.close();
    }
  });
});
