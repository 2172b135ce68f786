// JSON-RPC messages. What is accepted, the MCP SDK's schema accepts too (without members that are null), and the parts
// that were read are the members of the message.

import { isDeepStrictEqual } from 'node:util';
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import fc from 'fast-check';
import { readMessage } from '../../../src/actions/rpc.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { parseSharedJson } from '../../../src/domain/strict-json.ts';
import { fromPieces, mutated } from '../inputs.ts';
import { accepted, demand, type Target } from '../target.ts';

const member = fc.oneof(
  fc.tuple(fc.constantFrom('jsonrpc'), fc.constantFrom('"2.0"', '"2.0"', '"2.0"', '"1.0"', '2.0', '2')),
  fc.tuple(
    fc.constantFrom('method', 'Method', 'METHOD', 'm\\u0065thod'),
    fc.constantFrom('"tools/call"', '"Tools/Call"', '"ping"', '"x"', '""', 'null', '5', '"notifications/x"'),
  ),
  fc.tuple(
    fc.constantFrom('id', 'ID', '\u0131d'),
    fc.constantFrom('1', '"a"', 'null', '1.5', '-0', '9007199254740993', '{}', '""'),
  ),
  fc.tuple(
    fc.constantFrom('params', 'param\u017f'),
    fc.constantFrom('{}', '[]', 'null', '{"name":"a"}', '"x"', '{"a":1,"A":2}'),
  ),
  fc.tuple(fc.constantFrom('result', 'error'), fc.constantFrom('{}', 'null', '5', '{"code":1,"message":"x"}')),
  fc.tuple(fc.constantFrom('extra', '__proto__', 'constructor', '_meta'), fc.constantFrom('1', 'null')),
);
const message = fc
  .array(member, { minLength: 1, maxLength: 6 })
  .map((members) => `{${members.map(([name, value]) => `"${name}":${value}`).join(',')}}`);
const usual = fc.constantFrom(
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}}',
  '{"jsonrpc":"2.0","id":"x","result":{}}',
);

export const jsonRpc: Target = {
  name: 'json-rpc',
  drives: 'the reading of one JSON-RPC message',
  inputs: fc.oneof(
    message,
    mutated(fc.oneof(usual, message)),
    fromPieces(['{"jsonrpc":"2.0",', '"id":1,', '"method":"ping"', '}', ',', '[', ']', '"params":{}']),
  ),
  read: (text) => void readMessage(parseSharedJson(new TextEncoder().encode(text))),
  check(text) {
    const value = accepted(() => parseSharedJson(new TextEncoder().encode(text)));
    if (value === undefined) return;
    const read = accepted(() => readMessage(value));
    if (read === undefined) return;
    const whole = value as JsonObject;
    const isAbsent = (held: unknown): boolean => held === null || held === undefined;
    // The result of a response may be null.
    const mayBeNull = (name: string): boolean => name === 'result' && isAbsent(whole.error) && isAbsent(whole.method);
    const present = Object.fromEntries(
      Object.entries(whole).filter(([name, held]) => !isAbsent(held) || mayBeNull(name)),
    );
    // The SDK knows no answers to requests without an id, no results but objects, and its own form of errors.
    if (read.method !== undefined) {
      demand(JSONRPCMessageSchema.safeParse(present).success, 'The SDK refuses what is accepted.');
      demand(
        read.method === whole.method && isDeepStrictEqual(read.params ?? null, whole.params ?? null),
        'Another method, or other parameters, were read.',
      );
    } else
      demand(isDeepStrictEqual(read.whole, whole) && 'result' in present !== 'error' in present, 'It is no response.');
    demand((read.id ?? null) === (whole.id ?? null), 'Another id was read.');
  },
};
