import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionDigest, formerActionDigest } from '../../src/actions/digest.ts';
import type { Action, ActionBinding } from '../../src/domain/action.ts';
import { canonicalDigest, sha256 } from '../../src/domain/canonical.ts';
import { mcpOf } from '../support/mcp-message.ts';

const bytes = Buffer.from('{"amount":1}');
const action = {
  protocol: 'http',
  upstream: 'ledger',
  authority: 'ledger.example:443',
  method: 'POST',
  target: '/v1/transfers?x=1',
  path: '/transfers',
  query: 'x=1',
  contentType: 'application/json',
  boundHeaders: ['accept', 'a', 'if-match', 'b'],
  tool: 'pay',
  args: { amount: 1 },
  body: { bytes, digest: sha256(bytes) },
  streamed: false,
} as const satisfies Action;
const binding = {
  ruleIds: ['pay', 'log'],
  credential: { name: 'ledger', scope: { scope: 'write' } },
} as const satisfies ActionBinding;

const without = <K extends keyof Action>(name: K): Action => {
  const { [name]: _, ...rest } = action as Action;
  return rest as Action;
};
const withBody = (text: string): Action => ({ ...action, body: { bytes: Buffer.from(text), digest: sha256(text) } });

describe('actionDigest', () => {
  it('is the digest that DESIGN section 7 writes down', () => {
    expect(actionDigest(action, binding)).toBe(
      canonicalDigest('countersign/action/v1', {
        method: 'POST',
        upstream: 'ledger',
        authority: 'ledger.example:443',
        target: '/v1/transfers?x=1',
        tool: 'pay',
        contentType: 'application/json',
        headers: ['accept', 'a', 'if-match', 'b'],
        bodyDigest: sha256(bytes),
        bodyLength: 12,
        argumentsDigest: canonicalDigest('countersign/arguments/v1', { amount: 1 }),
        credential: { name: 'ledger', scope: { scope: 'write' } },
        ruleIds: ['pay', 'log'],
      }),
    );
  });

  // Kind: an approval that is bound to how a call arrives, so that nobody who arrives otherwise can use it.
  it.each([
    ['in front', ['mcp-session-id', 's', 'range', 'r']],
    ['between others', ['accept', 'a', 'mcp-session-id', 's', 'range', 'r']],
    ['alone', ['mcp-session-id', 's']],
    ['empty', ['accept', 'a', 'mcp-session-id', '']],
  ])('leaves out the session of an MCP message: %s', (_where, boundHeaders) => {
    const at = boundHeaders.indexOf('mcp-session-id');
    const message: Action = { ...action, protocol: 'mcp', boundHeaders };
    expect(actionDigest(message, binding)).toBe(
      actionDigest({ ...message, boundHeaders: boundHeaders.toSpliced(at, 2) }, binding),
    );
    // Holds of earlier versions were bound to this.
    expect(formerActionDigest(message, binding)).toBe(actionDigest({ ...message, protocol: 'http' }, binding));
  });

  it('binds what has only the look of a session, and has no former digest then', () => {
    const value: Action = { ...action, protocol: 'mcp', boundHeaders: ['accept', 'mcp-session-id'] };
    const http: Action = { ...action, boundHeaders: ['mcp-session-id', 's'] };
    for (const one of [value, http]) {
      expect(actionDigest(one, binding)).not.toBe(actionDigest({ ...one, boundHeaders: [] }, binding));
      expect(formerActionDigest(one, binding)).toBeUndefined();
    }
  });

  it('is the JCS digest of the whole, whatever the texts hold', () => {
    const text = fc.string({ unit: 'grapheme' }).map((each) => each.toWellFormed());
    const scope = fc.dictionary(text, fc.oneof(text, fc.array(text), fc.dictionary(text, text)));
    fc.assert(
      fc.property(
        text,
        text,
        text,
        fc.array(text),
        fc.array(text),
        fc.option(text, { nil: undefined }),
        scope,
        (upstream, target, method, boundHeaders, ruleIds, tool, wanted) => {
          const some: Action = {
            protocol: 'http',
            upstream,
            authority: upstream,
            method,
            target,
            path: '/',
            boundHeaders,
            streamed: false,
            ...(tool !== undefined && { tool }),
          };
          const whole = {
            ...{
              method,
              upstream,
              authority: upstream,
              target,
              tool: tool ?? null,
              contentType: null,
              headers: boundHeaders,
            },
            ...{
              bodyDigest: sha256(''),
              bodyLength: 0,
              argumentsDigest: null,
              credential: { name: target, scope: wanted },
              ruleIds,
            },
          };
          expect(actionDigest(some, { ruleIds, credential: { name: target, scope: wanted } })).toBe(
            canonicalDigest('countersign/action/v1', whole),
          );
        },
      ),
    );
  });

  const others: Record<string, [Action, ActionBinding]> = {
    method: [{ ...action, method: 'PUT' }, binding],
    upstream: [{ ...action, upstream: 'ledger2' }, binding],
    authority: [{ ...action, authority: 'ledger.example:444' }, binding],
    'the path': [{ ...action, target: '/v1/transfer?x=1' }, binding],
    'the query': [{ ...action, target: '/v1/transfers?x=2' }, binding],
    tool: [{ ...action, tool: 'refund' }, binding],
    'no tool': [without('tool'), binding],
    'an empty tool': [{ ...action, tool: '' }, binding],
    'the content type': [{ ...action, contentType: 'text/plain' }, binding],
    'no content type': [without('contentType'), binding],
    'the tail of the body': [withBody('{"amount":1} '), binding],
    'no body': [without('body'), binding],
    'a streamed body': [{ ...without('body'), streamed: true }, binding],
    arguments: [{ ...action, args: { amount: 2 } }, binding],
    'no arguments': [without('args'), binding],
    'null arguments': [{ ...action, args: null }, binding],
    'a header value': [{ ...action, boundHeaders: ['accept', 'a', 'if-match', 'c'] }, binding],
    'a header more': [{ ...action, boundHeaders: ['accept', 'a', 'if-match', 'b', 'range', 'c'] }, binding],
    'a header less': [{ ...action, boundHeaders: ['accept', 'a'] }, binding],
    'the credential': [action, { ...binding, credential: { name: 'other', scope: { scope: 'write' } } }],
    'the scope': [action, { ...binding, credential: { name: 'ledger', scope: { scope: 'read' } } }],
    'no credential': [action, { ruleIds: ['pay', 'log'] }],
    'a rule more': [action, { ...binding, ruleIds: ['pay', 'log', 'x'] }],
    'rules in another order': [action, { ...binding, ruleIds: ['log', 'pay'] }],
    'rules joined': [action, { ...binding, ruleIds: ['pay,log'] }],
  };

  it.each(Object.entries(others))('changes with %s', (_what, [a, b]) => {
    expect(actionDigest(a, b)).not.toBe(actionDigest(action, binding));
  });

  it('gives each of those its own digest', () => {
    const digests = Object.values(others).map(([a, b]) => actionDigest(a, b));
    expect(new Set(digests).size).toBe(digests.length);
  });

  it('does not depend on the JSON-RPC id, the order of keys, or whether the call is repeated', () => {
    const again: Action = { ...action, mcp: mcpOf({ id: 7 }), args: { amount: 1 } };
    expect(
      actionDigest(again, { credential: { scope: { scope: 'write' }, name: 'ledger' }, ruleIds: ['pay', 'log'] }),
    ).toBe(actionDigest(action, binding));
  });

  // Strings full of what separates in JSON, in lists and in HTTP: joining parts naively would let two tuples collide.
  const text = fc.string({
    unit: fc.constantFrom('"', ',', ':', '\\', '\n', '\0', '[', ']', '{', '}', 'a', 'null', '\u001f', 'é'),
  });
  const actions: fc.Arbitrary<[Action, ActionBinding]> = fc
    .record({
      method: text,
      upstream: text,
      authority: text,
      target: text,
      tool: fc.option(text, { nil: undefined }),
      contentType: fc.option(text, { nil: undefined }),
      headers: fc.array(fc.tuple(text, text), { maxLength: 2 }),
      body: fc.option(text, { nil: undefined }),
      args: fc.option(fc.dictionary(text, text, { noNullPrototype: true }), { nil: undefined }),
      credential: fc.option(fc.tuple(text, fc.dictionary(text, text, { noNullPrototype: true })), { nil: undefined }),
      ruleIds: fc.array(text, { maxLength: 3 }),
    })
    .map(({ method, upstream, authority, target, tool, contentType, headers, body, args, credential, ruleIds }) => [
      {
        protocol: 'http',
        method,
        upstream,
        authority,
        target,
        path: '/',
        boundHeaders: headers.flat(),
        streamed: false,
        ...(tool === undefined ? {} : { tool }),
        ...(contentType === undefined ? {} : { contentType }),
        ...(args === undefined ? {} : { args }),
        ...(body === undefined ? {} : { body: { bytes: Buffer.from(body), digest: sha256(body) } }),
      },
      { ruleIds, ...(credential === undefined ? {} : { credential: { name: credential[0], scope: credential[1] } }) },
    ]);
  // What is bound, compared structurally; the order of keys says nothing, and an absent body and one of no bytes are
  // one and the same.
  const sorted = (object: unknown) => (object === undefined ? undefined : Object.entries(object as object).sort());
  const bound = ([a, b]: [Action, ActionBinding]) => [
    [a.method, a.upstream, a.authority, a.target, a.tool, a.contentType, a.boundHeaders],
    [Buffer.from(a.body?.bytes ?? []), sorted(a.args), b.credential?.name, sorted(b.credential?.scope), b.ruleIds],
  ];

  it('is equal exactly for equal actions', () => {
    fc.assert(
      fc.property(actions, actions, (one, two) => {
        const same = fc.stringify(bound(one)) === fc.stringify(bound(two));
        expect(actionDigest(...one) === actionDigest(...two)).toBe(same);
      }),
      { numRuns: 1000 },
    );
  });

  it('changes when any one bound member is taken from another action', () => {
    const members = [
      'method',
      'upstream',
      'authority',
      'target',
      'tool',
      'contentType',
      'boundHeaders',
      'body',
      'args',
    ] as const;
    fc.assert(
      fc.property(actions, actions, fc.constantFrom(...members), ([a, b], [other], member) => {
        const { [member]: _, ...rest } = a;
        const mixed = (other[member] === undefined ? rest : { ...rest, [member]: other[member] }) as Action;
        const same = fc.stringify(bound([a, b])) === fc.stringify(bound([mixed, b]));
        expect(actionDigest(mixed, b) === actionDigest(a, b)).toBe(same);
      }),
      { numRuns: 1000 },
    );
  });

  it('moves text across the border of two members without colliding', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), (one, two, at) => {
        const cut = at % (two.length + 1);
        const moved = actionDigest({ ...action, authority: one + two.slice(0, cut), target: two.slice(cut) }, binding);
        expect(moved === actionDigest({ ...action, authority: one, target: two }, binding)).toBe(cut === 0);
        const joined = { ...binding, ruleIds: [`${one},${two}`] };
        expect(actionDigest(action, joined)).not.toBe(actionDigest(action, { ...binding, ruleIds: [one, two] }));
      }),
    );
  });
});

const file = '../shared/vectors/jcs.json';

describe.skipIf(!existsSync(file))('JCS vectors (skipped where ../shared/vectors is absent)', () => {
  const vectors = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { name: string; input: string; canonical: string }[])
    : [];

  it.each(vectors)('digests $name over its canonical form', ({ input, canonical }) => {
    expect(canonicalDigest('countersign/test/v1', JSON.parse(input))).toBe(sha256(`countersign/test/v1\n${canonical}`));
  });
});
