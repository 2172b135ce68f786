// Spans as a real OTLP receiver gets them.

import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CallFacts } from '../../src/domain/call-facts.ts';
import type { Hold } from '../../src/domain/hold.ts';
import { startTelemetry, type Telemetry } from '../../src/telemetry/start.ts';
import {
  callOf,
  credentialOf,
  executed,
  holdOf,
  LITERALS,
  releasing,
  toolCall,
  voteOf,
} from '../support/call-facts.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });

let receiver: OtlpReceiver;
let telemetry: Telemetry;

function start(env: Record<string, string> = {}): Telemetry {
  return startTelemetry({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...env },
    version: '1.2.3',
    instance: 'instance-1',
    destination: nowhere,
  });
}

beforeEach(async () => {
  receiver = await startOtlpReceiver();
  telemetry = start();
});

afterEach(async () => {
  await telemetry.shutdown();
  await receiver.close();
});

async function spansByName(): Promise<Map<string, ReceivedSpan[]>> {
  await telemetry.flush();
  return Map.groupBy(receiver.spans, (span) => span.name);
}

function only(spans: Map<string, ReceivedSpan[]>, name: string): ReceivedSpan {
  const found = spans.get(name) ?? [];
  expect(found, `spans named ${name}, of ${[...spans.keys()].join(', ')}`).toHaveLength(1);
  return found[0] as ReceivedSpan;
}

const linked = (span: ReceivedSpan): string[] => (span.links ?? []).map((link) => `${link.traceId}/${link.spanId}`);
const place = (span: ReceivedSpan): string => `${span.traceId}/${span.spanId}`;

/** The whole way of a held call: held, approved by two, minted, sent, revoked. */
function playHeldCall(headers: readonly string[] = []): Hold {
  const { tracing } = telemetry;
  const facts = callOf('hold', { holdId: 'hold_AAAAAAAAAAAAAAAAAAAAAA' }, headers);
  const admit = tracing.admit(facts);
  const trace = tracing.held(admit, facts);
  const pending = holdOf(trace);
  admit.end({ ...facts, hold: pending, status: 409, error: 'approval_pending' });

  const votes = [voteOf('alice'), voteOf('bob')].map((vote) => ({ ...vote, span: tracing.reviewed(pending, vote) }));
  const claimed = releasing(pending, votes);
  let again: CallFacts = callOf('allow', { hold: claimed, credential: credentialOf(), auditSeq: 12 }, headers);
  const release = tracing.release(claimed);
  release.child('mint', () => again).end();
  const client = release.child('client', () => again);
  again = { ...again, upstreamStatus: 201 };
  client.end();
  release.child('revoke', () => again).end();
  release.end({ ...again, status: 201, hold: executed(claimed) });
  return claimed;
}

describe('a held call', () => {
  test('leaves an admit, an approval and a release trace that are linked in both directions', async () => {
    playHeldCall();
    const spans = await spansByName();
    const admit = only(spans, 'POST /ledger');
    const request = only(spans, 'countersign.approval.request');
    const reviews = spans.get('countersign.approval.review') ?? [];
    const release = only(spans, 'countersign.release');

    expect(admit.kind).toBe('SPAN_KIND_SERVER');
    expect(admit.parentSpanId ?? '').toBe('');
    expect(request.kind).toBe('SPAN_KIND_PRODUCER');
    expect(request.parentSpanId ?? '').toBe('');
    expect(request.traceId).not.toBe(admit.traceId);
    expect(linked(admit)).toContain(place(request));
    expect(linked(request)).toContain(place(admit));

    expect(reviews).toHaveLength(2);
    for (const review of reviews) {
      expect(review.kind).toBe('SPAN_KIND_SERVER');
      expect(review.traceId).toBe(request.traceId);
      expect(review.parentSpanId).toBe(request.spanId);
      expect(linked(review)).toContain(place(admit));
    }

    expect(release.traceId).toBe(admit.traceId);
    expect(release.parentSpanId).toBe(admit.spanId);
    expect(linked(release).sort()).toEqual([place(request), ...reviews.map(place)].sort());

    for (const span of [admit, request, ...reviews, release]) {
      expect(span.attributes).toMatchObject({
        'countersign.decision': 'hold',
        'countersign.hold.id': 'hold_AAAAAAAAAAAAAAAAAAAAAA',
        'countersign.approval.trace_id': request.traceId,
        'countersign.call.trace_id': admit.traceId,
        'countersign.agent.id': 'spiffe://prod.example.org/agent/billing',
        'countersign.action.digest': 'c'.repeat(64),
        'countersign.policy.digest': 'a'.repeat(64),
        'countersign.rule.ids': ['transfers'],
      });
    }
  });

  test('shows mint, upstream and revoke below its release', async () => {
    playHeldCall();
    const spans = await spansByName();
    const release = only(spans, 'countersign.release');
    const client = only(spans, 'POST');
    expect(client.kind).toBe('SPAN_KIND_CLIENT');
    const mint = only(spans, 'countersign.credential.mint');
    const revoke = only(spans, 'countersign.credential.revoke');
    for (const child of [mint, client, revoke]) expect(child.parentSpanId).toBe(release.spanId);
    expect(client.attributes).toMatchObject({
      'server.address': 'ledger.example.org',
      'server.port': 8443,
      'http.response.status_code': 201,
    });
    for (const span of [mint, revoke]) {
      expect(span.kind).toBe('SPAN_KIND_INTERNAL');
      expect(span.attributes).toMatchObject({
        'countersign.credential.provider': 'oauth-client-credentials',
        'countersign.credential.revocability': 'token',
      });
    }
    expect(Number(mint.attributes['countersign.credential.ttl'])).toBeGreaterThan(50);
    expect(release.attributes).toMatchObject({ 'countersign.hold.outcome': 'EXECUTED', 'countersign.audit.seq': 12 });
  });

  test('names its reviewers by a reference, never by name or id', async () => {
    playHeldCall();
    const spans = await spansByName();
    const references = (spans.get('countersign.approval.review') ?? []).map((span) =>
      String(span.attributes['countersign.reviewer.ref']),
    );
    expect(new Set(references).size).toBe(2);
    for (const reference of references) expect(reference).toMatch(/^[0-9a-f]{16}$/);
    expect(receiver.text()).not.toMatch(/alice|bob/i);
  });

  test('puts no token, secret, argument, query, cookie or baggage into anything exported', async () => {
    playHeldCall(['mcp-session-id', 'session-literal-5521']);
    await telemetry.flush();
    const text = receiver.text();
    expect(text).toContain('hold_AAAAAAAAAAAAAAAAAAAAAA');
    for (const literal of [...Object.values(LITERALS), 'session-literal-5521']) expect(text).not.toContain(literal);
  });

  test('that runs out with nobody deciding leaves a span in the approval trace', async () => {
    const facts = callOf('hold', { holdId: 'hold_AAAAAAAAAAAAAAAAAAAAAA' });
    const admit = telemetry.tracing.admit(facts);
    const hold = holdOf(telemetry.tracing.held(admit, facts));
    admit.end({ ...facts, hold, error: 'approval_pending' });
    const expired = { ...hold, state: 'EXPIRED' as const, expiryReason: 'undecided' as const, endedAt: Date.now() };
    telemetry.tracing.holdChanged(expired, 'PENDING');
    // Later changes of an ended hold, another process's, and endings by vote are not told again.
    telemetry.tracing.holdChanged({ ...expired, reportedAt: Date.now() }, 'EXPIRED');
    telemetry.tracing.holdChanged(expired, undefined);
    telemetry.tracing.holdChanged({ ...hold, state: 'DENIED', endedAt: Date.now() }, 'PENDING');
    const close = only(await spansByName(), 'countersign.approval.close');
    expect(close.traceId).toBe(hold.trace.approval.traceId);
    expect(linked(close)).toEqual([`${hold.trace.admit.traceId}/${hold.trace.admit.spanId}`]);
    expect(close.attributes).toMatchObject({
      'countersign.hold.outcome': 'EXPIRED',
      'countersign.hold.expiry': 'undecided',
    });
  });

  test('is told as log events that carry the trace', async () => {
    const { trace } = playHeldCall();
    await telemetry.flush();
    const events = receiver.logs.map((log) => log.body);
    expect(events).toEqual(
      expect.arrayContaining([
        'countersign.call.held',
        'countersign.approval.decided',
        'countersign.credential.issued',
        'countersign.credential.revoked',
        'countersign.call.released',
      ]),
    );
    expect(receiver.logs.find((log) => log.body === 'countersign.call.released')?.traceId).toBe(trace.admit.traceId);
  });
});

describe('the admit span', () => {
  test('is back-dated to the arrival of the call', async () => {
    const facts = callOf('allow', { receivedAt: Date.now() - 250, status: 200 });
    telemetry.tracing.admit(facts).end(facts);
    const span = only(await spansByName(), 'POST /ledger');
    expect(BigInt(span.startTimeUnixNano)).toBe(BigInt(facts.receivedAt) * 1_000_000n);
    expect(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)).toBeGreaterThanOrEqual(250_000_000n);
  });

  test('links to the span that the agent says it is in, and never lies below it', async () => {
    const theirs = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
    const facts = callOf('allow', { status: 200 }, ['traceparent', `00-${theirs}-bbbbbbbbbbbbbbbb-01`]);
    telemetry.tracing.admit(facts).end(facts);
    const span = only(await spansByName(), 'POST /ledger');
    expect(span.traceId).not.toBe(theirs);
    expect(span.parentSpanId ?? '').toBe('');
    expect(linked(span)).toEqual([`${theirs}/bbbbbbbbbbbbbbbb`]);
  });

  test.each([
    ['00-00000000000000000000000000000000-bbbbbbbbbbbbbbbb-01'],
    ['ff-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01'],
    ['00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01-extra'],
    ['00-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-bbbbbbbbbbbbbbbb-01'],
    ['nonsense'],
  ])('has no link for the invalid traceparent %s', async (traceparent) => {
    const facts = callOf('allow', { status: 200 }, ['traceparent', traceparent]);
    telemetry.tracing.admit(facts).end(facts);
    expect(only(await spansByName(), 'POST /ledger').links ?? []).toEqual([]);
  });

  test('is named after the MCP method and the tool', async () => {
    const facts = callOf('allow', { ...toolCall('transfer_funds'), status: 200 });
    telemetry.tracing.admit(facts).end(facts);
    const span = only(await spansByName(), 'tools/call transfer_funds');
    expect(span.attributes).toMatchObject({
      'mcp.method.name': 'tools/call',
      'gen_ai.tool.name': 'transfer_funds',
      'gen_ai.operation.name': 'execute_tool',
      'jsonrpc.request.id': '7',
    });
  });

  test('does not take a name of the agent’s invention', async () => {
    const facts = callOf('deny', { ...toolCall(`made up ${'x'.repeat(200)}`), status: 403, error: 'no_matching_rule' });
    telemetry.tracing.admit(facts).end(facts);
    only(await spansByName(), 'tools/call');
  });

  test.each([
    ['no_matching_rule', 403, undefined],
    ['upstream_timeout', 504, 'STATUS_CODE_ERROR'],
    ['upstream_aborted', 200, 'STATUS_CODE_ERROR'],
  ] as const)('of a call that ended with %s and status %i has status %s', async (error, status, code) => {
    const facts = callOf(error === 'no_matching_rule' ? 'deny' : 'allow', { status, error });
    telemetry.tracing.admit(facts).end(facts);
    const span = only(await spansByName(), 'POST /ledger');
    expect(span.attributes['error.type']).toBe(error);
    expect(span.status?.code === 'STATUS_CODE_ERROR' ? span.status.code : undefined).toBe(code);
  });

  test('says what kind of service wrote it', async () => {
    await telemetry.shutdown();
    telemetry = start({
      OTEL_SERVICE_NAME: 'gate',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=st%20aging,service.name=other',
    });
    const facts = callOf('allow', { status: 200 });
    telemetry.tracing.admit(facts).end(facts);
    await telemetry.flush();
    expect(receiver.resource).toEqual({
      'service.name': 'gate',
      'service.version': '1.2.3',
      'service.instance.id': 'instance-1',
      'deployment.environment.name': 'st aging',
    });
  });
});

describe('sampling', () => {
  beforeEach(async () => {
    await telemetry.shutdown();
    telemetry = start({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' });
  });

  test('leaves allowed calls out, ids and all, when the ratio is 0', async () => {
    const facts = callOf('allow', { status: 200 });
    const span = telemetry.tracing.admit(facts);
    span.child('client', () => facts).end();
    span.end(facts);
    expect(span.ref).toMatchObject({
      sampled: false,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(await spansByName()).toEqual(new Map());
  });

  test('keeps every hold', async () => {
    playHeldCall();
    const spans = await spansByName();
    only(spans, 'countersign.release');
    only(spans, 'countersign.approval.request');
    only(spans, 'POST /ledger');
  });

  test('keeps every denial', async () => {
    const facts = callOf('deny', { status: 403, error: 'denied' });
    telemetry.tracing.admit(facts).end(facts);
    expect(only(await spansByName(), 'POST /ledger').attributes['countersign.decision']).toBe('deny');
  });

  test('keeps calls that ended before a decision, as errors', async () => {
    const facts: CallFacts = { id: 'x', receivedAt: Date.now(), method: 'BREW', status: 401, error: 'token_expired' };
    telemetry.tracing.admit(facts).end(facts);
    expect(only(await spansByName(), '_OTHER').attributes['countersign.decision']).toBe('error');
  });

  test('keeps an allowed call whole when it fails after all', async () => {
    const facts = callOf('allow');
    const span = telemetry.tracing.admit(facts);
    span.child('mint', () => facts).end();
    span.child('client', () => facts).end('upstream_timeout');
    span.end({ ...facts, status: 504, error: 'upstream_timeout' });
    const spans = await spansByName();
    const admit = only(spans, 'POST /ledger');
    expect(admit.spanId).toBe(span.ref.spanId);
    expect(only(spans, 'countersign.credential.mint').parentSpanId).toBe(admit.spanId);
    expect(only(spans, 'POST').parentSpanId).toBe(admit.spanId);
  });
});
