// What is told about the answers of held calls and about their credentials. Pinned kinds: an answer whose span has no
// status; an id that the documentation names and no span carries; a log record that a receiver can neither name nor
// rank.

import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { describe, expect } from 'vitest';
import { type Rules, rule } from '../support/config.ts';
import { startEnvironment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';

const RULES: Rules = [
  rule.allow('reads', { methods: ['GET'] }),
  rule.hold('writes', { upstream: 'api', methods: ['POST'] }),
];

const it = gatewayTest
  // With what the gateway told it of these calls.
  .extend('receiver', file, async ({ closes, environment }) => {
    const receiver = await closes(startOtlpReceiver());
    const env = await environment({ rules: RULES }, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url } });
    const alice = await env.reviewer('alice');
    const play = async (path: string): Promise<string> => {
      const response = await env.call(`/api${path}`, {
        method: 'POST',
        body: { to: 'acme' },
        headers: { prefer: 'wait=0' },
      });
      await response.arrayBuffer();
      return response.headers.get('countersign-hold') ?? '';
    };
    const approved = await play('/approved');
    await play('/approved');
    await alice.vote(approved, 'approve', { reason: 'fine' });
    await play('/approved');
    const denied = await play('/denied');
    await alice.vote(denied, 'deny', { reason: 'no' });
    await play('/denied');
    env.upstream.respond((_request, response) => response.writeHead(503).end());
    const failed = await play('/failed');
    await alice.vote(failed, 'approve', { reason: 'fine' });
    await play('/failed');
    const gone = await play('/gone');
    await alice.vote(gone, 'approve', { reason: 'fine' });
    env.upstream.respond((_request, response) => response.destroy());
    await play('/gone');
    // An orderly end sends all that waits.
    expect(await env.terminate()).toBe(0);
    return receiver;
  });

/** SERVER spans of the calls to a path, in the order in which the calls came. */
const answers = (receiver: OtlpReceiver, path: string): readonly ReceivedSpan[] =>
  receiver.spans
    .filter(
      ({ kind, name, attributes }) =>
        kind === 'SPAN_KIND_SERVER' && name !== 'countersign.release' && attributes['url.path'] === `/api${path}`,
    )
    .sort((one, other) => Number(BigInt(one.startTimeUnixNano) - BigInt(other.startTimeUnixNano)));

describe('the span of a call that comes back for its hold', () => {
  it.for([
    ['while nobody has decided', '/approved', 1, 409, 'approval_pending'],
    ['after the approval', '/approved', 2, 200, undefined],
    ['after a denial', '/denied', 1, 403, 'approval_denied'],
    ['when the upstream answers with an error', '/failed', 1, 503, '503'],
    ['when the upstream breaks the connection', '/gone', 1, 502, 'upstream_aborted'],
  ] as const)('has the status of its answer %s', ([_when, path, index, status, error], { receiver }) => {
    const span = answers(receiver, path)[index];
    expect(span?.attributes).toMatchObject({
      'http.response.status_code': status,
      ...(error !== undefined && { 'error.type': error }),
    });
    expect(span?.attributes['countersign.hold.id']).toMatch(/^hold_/);
  });

  it('is linked to the approval that the call came back for', ({ receiver }) => {
    const approval = receiver.spans.find(
      ({ name, attributes }) =>
        name === 'countersign.approval.request' &&
        attributes['countersign.hold.id'] === answers(receiver, '/approved')[2]?.attributes['countersign.hold.id'],
    );
    expect(answers(receiver, '/approved')[2]?.links?.map(({ spanId }) => spanId)).toContain(approval?.spanId);
  });

  it('is written once for each call', ({ receiver }) => {
    expect(['/approved', '/denied', '/failed', '/gone'].map((path) => answers(receiver, path).length)).toEqual([
      3, 2, 2, 2,
    ]);
  });
});

describe('the id of a credential', () => {
  it('is the same on the spans of mint, send, revocation and release', ({ receiver }) => {
    const release = receiver.spans.find(({ name }) => name === 'countersign.release');
    const below = receiver.spans.filter(({ parentSpanId }) => parentSpanId === release?.spanId);
    const ids = [release, ...below].map((span) => span?.attributes['countersign.credential.id']);
    expect(below.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^cred_/);
  });
});

describe('log records', () => {
  it('name their event and their severity, for receivers of any age', ({ receiver }) => {
    expect(receiver.logs.length).toBeGreaterThan(5);
    for (const { body, attributes, severityText, severityNumber } of receiver.logs) {
      expect(attributes['event.name']).toBe(body);
      expect([severityText, severityNumber]).toEqual(['INFO', 9]);
    }
    const told = (name: string) => receiver.logs.filter(({ body }) => body === `countersign.call.${name}`).length;
    expect({
      held: told('held'),
      released: told('released'),
      denied: told('denied'),
      completed: told('completed'),
    }).toEqual({
      held: 5,
      released: 3,
      denied: 2,
      completed: 2,
    });
  });

  it('carry the event name in the field that OTLP has for it', async () => {
    const bodies: Buffer[] = [];
    const raw = createServer(async (request, response) => {
      const body = await buffer(request);
      if (request.url === '/v1/logs') bodies.push(body);
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
    const { port } = raw.address() as { port: number };
    const other = await startEnvironment(
      { rules: RULES },
      {
        env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_COMPRESSION: 'none' },
      },
    );
    try {
      await other.call('/api/accounts', { method: 'DELETE' });
      expect(await other.terminate()).toBe(0);
    } finally {
      await other.close();
      raw.close();
    }
    const name = 'countersign.call.denied';
    // opentelemetry/proto/logs/v1, LogRecord.event_name: field 12, a text.
    expect(
      Buffer.concat(bodies).includes(Buffer.concat([Buffer.from([(12 << 3) | 2, name.length]), Buffer.from(name)])),
    ).toBe(true);
  });
});
