import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderHold, renderLine } from '../../src/cli/render-hold.ts';
import type { ShownHold } from '../../src/cli/review-client.ts';
import { sha256 } from '../../src/domain/canonical.ts';
import { whyNotWhole } from '../../src/domain/whole.ts';

function holdOf(words: {
  body?: string;
  header?: string;
  objective?: string;
  step?: string;
  target?: string;
  agent?: string;
  args?: ShownHold['action']['args'];
}): ShownHold {
  const body = words.body ?? '';
  return {
    id: 'hold_1',
    state: 'PENDING',
    bindingDigest: 'ab12cd'.padEnd(64, '0'),
    actionDigest: 'x',
    action: {
      protocol: 'mcp',
      upstream: 'tools',
      authority: 'tools.example.org',
      method: 'POST',
      target: words.target ?? '/',
      tool: 'pay',
      args: words.args ?? {},
      headers: [{ name: 'accept', value: words.header ?? '*/*' }],
      bodyText: body,
      bodyDigest: sha256(body),
      bodyLength: Buffer.byteLength(body),
    },
    principal: { id: words.agent ?? 'agent', issuer: 'i', subject: 'agent', kind: 'oidc', onBehalfOf: [], owners: [] },
    task: { id: 't', revision: 1, heading: '', objective: words.objective ?? '', plan: [words.step ?? ''], labels: [], calls: [] },
    rules: [],
    requirements: [],
    votes: [],
    createdAt: 'now',
    deadline: 'soon',
    youMay: { approve: true, deny: true, revoke: true },
  };
}

const hostile = fc.string({
  unit: fc.oneof(fc.constantFrom('\n', '\r', '\u001b', '\u2028', '\u202e', ' ', 'Decide', 'code'), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })),
});

describe('a hold on the terminal', () => {
  it('never lets words of the agent begin a line, whatever is in them', () => {
    const gateways = renderHold(holdOf({}))
      .split('\n')
      .filter((line) => !line.startsWith('  │ '))
      .map((line) => line.slice(0, 13));
    fc.assert(
      fc.property(hostile, hostile, hostile, hostile, (body, header, objective, step) => {
        const lines = renderHold(holdOf({ body, header, objective, step, args: { text: objective } })).split('\n');
        const ours = lines.filter((line) => !line.startsWith('  │ ') && !line.startsWith('Note: '));
        expect(ours.map((line) => line.slice(0, 13)).filter((line) => line !== '')).toEqual(gateways.filter((line) => line !== ''));
      }),
    );
  });

  it('keeps a target or a name to one line', () => {
    fc.assert(
      fc.property(hostile, hostile, (target, agent) => {
        const hold = holdOf({ target, agent });
        expect(renderHold(hold).split('\n').length).toBeLessThanOrEqual(renderHold(holdOf({})).split('\n').length + 2);
        expect(renderLine(hold)).not.toMatch(/[\n\r\p{Cc}\p{Cf}]/u);
      }),
    );
  });

  it('shows the arguments of a tool whole, beside the exact body', () => {
    const args = { to: 'x'.repeat(5000), deep: [{ n: 1 }] };
    const out = renderHold(holdOf({ args, body: JSON.stringify(args) }));
    expect(out).toContain(`  │   "to": "${args.to}",`);
    expect(out).toContain(`  │ ${JSON.stringify(args)}`);
  });

  it('notices a body that is missing, cut or changed', () => {
    const hold = holdOf({ body: 'grüezi' });
    expect(whyNotWhole(hold.action)).toBeUndefined();
    for (const bodyText of [undefined, 'grüez', 'gruezi', 'grüeZi']) {
      const { bodyText: _, ...action } = hold.action;
      expect(whyNotWhole({ ...action, ...(bodyText !== undefined && { bodyText }) })).toBeTypeOf('string');
    }
  });
});
