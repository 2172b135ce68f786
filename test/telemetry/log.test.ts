// Log lines as they leave the process.

import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { GatewayError } from '../../src/errors.ts';
import { callLine } from '../../src/telemetry/call-line.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { callOf, credentialOf, executed, holdOf, LITERALS, releasing, voteOf } from '../support/call-facts.ts';

function capture() {
  const lines: string[] = [];
  const log = createLog({ write: (text) => void lines.push(text) });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') };
}

test('a line is one JSON object with level, time and event', () => {
  const { log, lines, last } = capture();
  log.warn('something.happened', { count: 3 });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\{.*\}\n$/);
  expect(last()).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    event: 'something.happened',
    count: 3,
  });
});

test('fields named like secrets are masked wherever they stand, and a Secret masks itself', () => {
  const { log, lines } = capture();
  log.info('leak', {
    authorization: `Bearer ${LITERALS.token}`,
    headers: { Cookie: LITERALS.cookie, 'set-cookie': LITERALS.cookie },
    list: [{ nested: { token: LITERALS.token } }],
    token: LITERALS.token,
    value: new Secret(LITERALS.secret),
    credential: credentialOf(),
  });
  for (const literal of Object.values(LITERALS)) expect(lines.join('')).not.toContain(literal);
});

test('errors show name, code and causes, and neither message nor stack', () => {
  const { log, last, lines } = capture();
  const cause = Object.assign(new TypeError('quotes input-literal'), { code: 'ERR_X' });
  log.error('failed', { error: new GatewayError('upstream_unreachable', 'detail', { cause }) });
  expect(last().error).toEqual({
    name: 'GatewayError',
    code: 'upstream_unreachable',
    cause: { name: 'TypeError', code: 'ERR_X' },
  });
  expect(lines.join('')).not.toContain('input-literal');
});

test('an internal error shows where it came from, without its message', () => {
  const { log, last, lines } = capture();
  log.error('failed', {
    error: new GatewayError('internal', 'detail', { cause: new Error('quotes input-literal\n    at forged') }),
  });
  expect(last().error.stack).toMatch(/^\s+at .*log\.test\.ts/m);
  expect(lines.join('')).not.toContain('input-literal');
});

test('characters that a terminal would obey or hide are escaped and read back the same', () => {
  const { log, lines, last } = capture();
  const text = 'a\u202eb\u200bc\u009bd\u{e0041}e\u2028f\u001b[2Jg\nh';
  log.info('x', { text });
  expect(lines[0]).toMatch(/^[\x20-\x7e]*\n$/);
  expect(last().text).toBe(text);
  log.info('x', { text: 'Zürich' });
  expect(lines[1]).toContain('Zürich');
});

test('a value that cannot be serialised does not stop the caller', () => {
  const { log, lines } = capture();
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  log.info('x', { circular, big: 1n });
  expect(lines).toHaveLength(1);
});

test('the line of a call names all that matters and holds nothing of its content', () => {
  const span = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), sampled: true };
  const hold = executed(releasing(holdOf({ admit: span, approval: span }), [{ ...voteOf('alice'), span }]));
  const facts = callOf('allow', {
    hold,
    credential: credentialOf(),
    status: 201,
    upstreamStatus: 201,
    auditSeq: 7,
    heldMs: 1200,
  });
  const { log, lines, last } = capture();
  log.info('call', callLine(facts, { span, seconds: 0.0123456 }));
  expect(last()).toMatchObject({
    event: 'call',
    agent: 'spiffe://prod.example.org/agent/billing',
    action: 'c'.repeat(64),
    decision: 'hold',
    rules: ['transfers'],
    hold: hold.id,
    hold_state: 'EXECUTED',
    credential: 'cred_0123456789abcdef',
    status: 201,
    ms: 12.346,
    held_ms: 1200,
    audit_seq: 7,
    trace_id: span.traceId,
    span_id: span.spanId,
  });
  for (const literal of [...Object.values(LITERALS), 'alice']) expect(lines.join('')).not.toContain(literal);
});
