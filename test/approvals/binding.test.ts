import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindingDigest, callerDigest, formerRequestDigest, requestDigest } from '../../src/approvals/binding.ts';
import { recordHold } from '../../src/approvals/hold-record.ts';
import { openHold } from '../../src/approvals/machine.ts';
import type { Action } from '../../src/domain/action.ts';
import { canonicalDigest, sha256 } from '../../src/domain/canonical.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { actionOf, principalOf, requestOf } from '../support/holds/values.ts';

const text = fc.string({ maxLength: 6 });
const parties = fc.array(fc.record({ id: text, issuer: text, subject: text }), { maxLength: 2 });

const callers = fc.record({ id: text, issuer: text, subject: text, keyThumbprint: text, onBehalfOf: parties });
const bindings = fc.record({
  actionDigest: text,
  decisionDigest: text,
  nonce: text,
  deadline: fc.nat(),
  task: fc.option(fc.record({ id: text, revision: fc.nat(9) }), { nil: undefined }),
  principal: callers,
});

type Facts = typeof bindings extends fc.Arbitrary<infer T> ? T : never;
type Bound = { -readonly [K in keyof Parameters<typeof bindingDigest>[0]]: Parameters<typeof bindingDigest>[0][K] };
function bound({ task, principal, ...rest }: Facts): Bound {
  const caller = { ...principal, kind: 'oidc' as const, owners: [] };
  return { ...rest, requirements: [], principal: caller, ...(task === undefined ? {} : { task }) };
}

/** What the binding digest must tell apart, in one comparable text. */
const meaning = ({ principal: { id, issuer, keyThumbprint, onBehalfOf }, ...rest }: Facts) =>
  JSON.stringify([
    rest.actionDigest,
    rest.decisionDigest,
    rest.nonce,
    rest.deadline,
    rest.task ?? null,
    id,
    issuer,
    keyThumbprint,
    onBehalfOf.map((p) => [p.id, p.issuer, p.subject]),
  ]);

describe('the binding digest', () => {
  it('is the same exactly when everything bound is the same', () => {
    fc.assert(
      fc.property(bindings, bindings, (a, b) => {
        expect(bindingDigest(bound(a)) === bindingDigest(bound(b))).toBe(meaning(a) === meaning(b));
      }),
    );
  });

  it('changes with any one bound field', () => {
    fc.assert(
      fc.property(bindings, text, fc.nat(), (facts, word, number) => {
        const before = bound(facts);
        const digest = bindingDigest(before);
        for (const field of ['actionDigest', 'decisionDigest', 'nonce'] as const) {
          if (before[field] !== word) expect(bindingDigest({ ...before, [field]: word })).not.toBe(digest);
        }
        if (before.deadline !== number) expect(bindingDigest({ ...before, deadline: number })).not.toBe(digest);
        expect(
          bindingDigest({ ...before, task: { id: before.task?.id ?? '', revision: (before.task?.revision ?? 0) + 1 } }),
        ).not.toBe(digest);
        for (const field of ['id', 'issuer', 'keyThumbprint'] as const) {
          if (before.principal[field] !== word)
            expect(bindingDigest({ ...before, principal: { ...before.principal, [field]: word } })).not.toBe(digest);
        }
        const chain = [...before.principal.onBehalfOf, { id: word, issuer: word, subject: word }];
        expect(bindingDigest({ ...before, principal: { ...before.principal, onBehalfOf: chain } })).not.toBe(digest);
      }),
    );
  });

  it('differs for two holds of the same request, by their nonces', () => {
    const [a, b] = [openHold(recordHold(requestOf(), 'd', []), 5), openHold(recordHold(requestOf(), 'd', []), 5)];
    expect(a.bindingDigest).not.toBe(b.bindingDigest);
  });

  it('can be computed again from what is stored', () => {
    const hold = openHold(recordHold(requestOf(), 'd', ['owner']), 5);
    expect(bindingDigest(JSON.parse(JSON.stringify(hold)))).toBe(hold.bindingDigest);
  });
});

describe('the request digest', () => {
  const base = requestDigest(principalOf(), 'task_1', actionOf());

  it.each<[string, Partial<Action>]>([
    ['method', { method: 'PUT' }],
    ['upstream', { upstream: 'x' }],
    ['authority', { authority: 'x' }],
    ['target', { target: '/transfers?a=1' }],
    ['content type', { contentType: 'text/plain' }],
    ['a bound header', { boundHeaders: ['accept', 'text/plain'] }],
    ['the body', { body: { bytes: Buffer.from('x'), digest: sha256('x') } }],
    ['the tool', { tool: 'transfer' }],
  ])('changes with the action’s %s', (_, change) => {
    expect(requestDigest(principalOf(), 'task_1', actionOf(change))).not.toBe(base);
  });

  it.each<[string, Partial<Principal>]>([
    ['id', { id: 'x' }],
    ['issuer', { issuer: 'x' }],
    ['key', { keyThumbprint: 'x' }],
    ['second identity', { spiffeId: 'spiffe://prod.test/x' }],
    ['user', { onBehalfOf: [{ id: 'x', issuer: 'x', subject: 'x' }] }],
  ])('changes with the caller’s %s', (_, change) => {
    expect(requestDigest(principalOf(change), 'task_1', actionOf())).not.toBe(base);
  });

  it('changes with the task, and with there being none', () => {
    expect(
      new Set([
        base,
        requestDigest(principalOf(), 'task_2', actionOf()),
        requestDigest(principalOf(), undefined, actionOf()),
      ]).size,
    ).toBe(3);
  });

  it('is what it always was for a caller without a second identity, whatever is shown of the caller', () => {
    const told = { id: 'a', issuer: 'i', subject: 's', onBehalfOf: [], client: 'c', name: 'n' };
    const bound = { id: 'a', issuer: 'i', keyThumbprint: null, onBehalfOf: [] };
    expect(callerDigest(told)).toBe(canonicalDigest('countersign/caller/v1', bound));
    expect(callerDigest({ ...told, spiffeId: 'spiffe://a/b' })).toBe(
      canonicalDigest('countersign/caller/v1', { ...bound, spiffeId: 'spiffe://a/b' }),
    );
  });

  it('does not change with the Idempotency-Key, the token’s claims or the proof', () => {
    const boundHeaders = ['accept', 'application/json', 'idempotency-key', 'k'];
    expect(
      requestDigest(
        principalOf({ claims: { jti: 'x' }, expiresAt: 1, proof: 'jwt' }),
        'task_1',
        actionOf({ boundHeaders }),
      ),
    ).toBe(base);
  });

  it('does not change with the MCP session, which the former digest binds', () => {
    const inSession = (session: string) =>
      actionOf({ protocol: 'mcp', boundHeaders: ['accept', 'application/json', 'mcp-session-id', session] });
    const former = (session: string) => formerRequestDigest(principalOf(), 'task_1', inSession(session));
    expect(['a', 'b', ''].map((session) => requestDigest(principalOf(), 'task_1', inSession(session)))).toEqual([
      base,
      base,
      base,
    ]);
    expect(new Set([base, former('a'), former('b'), former('')]).size).toBe(4);
    expect(former('a')).toBe(requestDigest(principalOf(), 'task_1', { ...inSession('a'), protocol: 'http' }));
    expect(formerRequestDigest(principalOf(), 'task_1', actionOf({ protocol: 'mcp' }))).toBeUndefined();
  });

  it('takes a header value for a value, even when it says idempotency-key', () => {
    expect(requestDigest(principalOf(), 'task_1', actionOf({ boundHeaders: ['accept', 'idempotency-key'] }))).not.toBe(
      requestDigest(principalOf(), 'task_1', actionOf({ boundHeaders: [] })),
    );
  });

  it('never collides over tuples that only joining could confuse', () => {
    fc.assert(
      fc.property(callers, callers, (a, b) => {
        const same =
          JSON.stringify([a.id, a.issuer, a.keyThumbprint, a.onBehalfOf]) ===
          JSON.stringify([b.id, b.issuer, b.keyThumbprint, b.onBehalfOf]);
        fc.pre(!same || a.id === b.id);
        expect(callerDigest(a) === callerDigest(b)).toBe(same);
      }),
    );
  });
});
