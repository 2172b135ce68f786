import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { takeMessage } from '../../src/actions/mcp-message.ts';
import type { JsonObject } from '../../src/domain/json.ts';

const take = (message: JsonObject, headers: readonly string[] = []) =>
  takeMessage(message, Buffer.from(JSON.stringify(message)), headers);
const identity = (message: JsonObject) => take(message).body.identity;
const call = (more: JsonObject = {}, meta?: JsonObject, id: string | number = 1): JsonObject => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'pay', arguments: { amount: 5 }, ...more, ...(meta && { _meta: meta }) },
});
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('the identity of an MCP message', () => {
  it('does not depend on id, progress token, trace context or the order of members', () => {
    const plain = identity(call());
    expect(identity(call({}, undefined, 'other'))).toBe(plain);
    expect(identity(call({}, { progressToken: 3 }))).toBe(plain);
    expect(identity(call({}, { progressToken: 'x', traceparent: TRACE, tracestate: 'a=1' }, 9))).toBe(plain);
    expect(
      identity({ params: { arguments: { amount: 5 }, name: 'pay' }, method: 'tools/call', id: 2, jsonrpc: '2.0' }),
    ).toBe(plain);
  });

  it('depends on everything else', () => {
    const others = [
      call({ arguments: { amount: 6 } }),
      call({ name: 'pay2' }),
      call({ task: {} }),
      call({}, { 'io.modelcontextprotocol/clientInfo': { name: 'x' } }),
      call({}, { baggage: 'a=1' }),
      call({ arguments: { amount: 5, progressToken: 1 } }),
      call({ requestState: 'of the server' }),
      call({ inputResponses: {} }),
      { ...call(), method: 'prompts/get' },
      { jsonrpc: '2.0', method: 'tools/call', params: { name: 'pay', arguments: { amount: 5 } } },
    ].map(identity);
    expect(new Set([identity(call()), ...others]).size).toBe(others.length + 1);
  });

  it('is the same for two calls exactly when their arguments are', () => {
    const args = fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<JsonObject>;
    fc.assert(
      fc.property(args, args, fc.integer(), fc.integer(), (a, b, id, other) => {
        const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        expect(
          identity(call({ arguments: a }, undefined, id)) ===
            identity(call({ arguments: b }, { progressToken: other }, other)),
        ).toBe(same);
      }),
    );
  });

  it('leaves the bytes as they are', () => {
    const bytes = Buffer.from('{"jsonrpc":"2.0", "id":1,"method":"ping"}');
    expect(takeMessage({ jsonrpc: '2.0', id: 1, method: 'ping' }, bytes, []).body.bytes).toBe(bytes);
  });
});

describe('what nobody looks at', () => {
  it('cannot carry anything: tokens, ids and trace contexts are short and of their form', () => {
    for (const meta of [
      { progressToken: 'x'.repeat(257) },
      { progressToken: {} },
      { progressToken: 1.5 },
      { traceparent: 'drop table' },
      { tracestate: 'a\n' },
      { tracestate: 'x'.repeat(513) },
    ]) {
      expect(() => take(call({}, meta as JsonObject))).toThrow('bad_rpc');
    }
    expect(() => take(call({}, undefined, 'x'.repeat(257)))).toThrow('bad_rpc');
  });
});

describe('the transport of a message', () => {
  it('takes the gateway’s own requestState off, and leaves an upstream’s', () => {
    const own = take(call({ requestState: 'countersign.v1.abc' }));
    expect(own.transport).toMatchObject({ requestState: 'countersign.v1.abc', continues: false });
    expect(Buffer.from(own.body.bytes).toString()).toBe(JSON.stringify(call()));
    expect(own.body.identity).toBe(identity(call()));
    const foreign = take(call({ requestState: 'abc' }));
    expect(foreign.transport.continues).toBe(true);
    expect(foreign.transport).not.toHaveProperty('requestState');
    expect(Buffer.from(foreign.body.bytes).toString()).toContain('"requestState":"abc"');
  });

  it('knows the era by the message first, then by the field', () => {
    const stateless = (headers: readonly string[], meta?: JsonObject) =>
      take(call({}, meta), headers).transport.stateless;
    const field = (version: string) => ['mcp-protocol-version', version];
    expect(stateless([])).toBe(false);
    expect(stateless(field('2025-11-25'))).toBe(false);
    expect(stateless(field('2026-07-28'))).toBe(true);
    expect(stateless(field('2027-01-01'))).toBe(true);
    expect(stateless([], { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' })).toBe(true);
    expect(stateless(field('nonsense'))).toBe(false);
  });
});

/** With members in one order, numbers in one form. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sorted(member)]);
}
