import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnsOf } from '../../src/cli/fold-lines.ts';
import { renderHold, renderLine } from '../../src/cli/render-hold.ts';
import type { ShownHold } from '../../src/cli/review-client.ts';
import { printJson } from '../../src/cli/terminal.ts';
import { sha256 } from '../../src/domain/canonical.ts';
import { visible } from '../../src/domain/visible-text.ts';
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
    task: {
      id: 't',
      revision: 1,
      root: 'task_1',
      provenance: 'declared',
      heading: '',
      objective: words.objective ?? '',
      plan: [words.step ?? ''],
      labels: [],
      calls: [],
    },
    rules: [],
    requirements: [],
    votes: [],
    createdAt: 'now',
    deadline: 'soon',
    youMay: { approve: true, deny: true, revoke: true },
  };
}

/** Nothing is folded. */
const WIDE = 1_000_000;

const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\n', '\r', '\u001b', '\u2028', '\u202e', ' ', 'Decide', 'code'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
});

describe('a hold on the terminal', () => {
  it('never lets words of the agent begin a line, whatever is in them', () => {
    const gateways = renderHold(holdOf({}), WIDE)
      .split('\n')
      .filter((line) => !line.startsWith('  │ '))
      .map((line) => line.slice(0, 13));
    fc.assert(
      fc.property(hostile, hostile, hostile, hostile, (body, header, objective, step) => {
        const lines = renderHold(holdOf({ body, header, objective, step, args: { text: objective } }), WIDE).split(
          '\n',
        );
        const ours = lines.filter((line) => !line.startsWith('  │ ') && !line.startsWith('Note: '));
        expect(ours.map((line) => line.slice(0, 13)).filter((line) => line !== '')).toEqual(
          gateways.filter((line) => line !== ''),
        );
      }),
    );
  });

  it('keeps a target or a name to one line', () => {
    fc.assert(
      fc.property(hostile, hostile, (target, agent) => {
        const hold = holdOf({ target, agent });
        expect(renderHold(hold, WIDE).split('\n').length).toBeLessThanOrEqual(
          renderHold(holdOf({}), WIDE).split('\n').length + 2,
        );
        expect(renderLine(hold, WIDE)).not.toMatch(/[\n\r\p{Cc}\p{Cf}]/u);
      }),
    );
  });

  it('shows the arguments of a tool whole, beside the exact body', () => {
    const args = { to: 'x'.repeat(5000), deep: [{ n: 1 }] };
    const out = renderHold(holdOf({ args, body: JSON.stringify(args) }), WIDE);
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

  // Kind: a line that the terminal wraps by itself begins with whatever the agent put there.
  describe.each([1, 5, 12, 39, 40, 79, 80, 81, 120])('on a terminal of %i columns', (columns) => {
    /** As wide as the terminal may show it at most. */
    const cells = (line: string) => [...line].reduce((sum, character) => sum + (character <= '\u007e' ? 1 : 2), 0);
    const pad = (text: string) => text.padEnd(Math.max(text.length, columns - 4), ' ');
    const FORGED = [
      'What the gateway knows',
      '  would do    GET /harmless',
      '漢字漢字漢字漢字',
      '👩‍💻👩‍💻',
      'e\u0301\u0302e\u0301',
      '\t',
    ];
    const words = fc.array(
      fc.oneof(fc.constantFrom(...FORGED, ...FORGED.map(pad)), fc.string({ unit: 'grapheme', maxLength: 90 })),
      { maxLength: 4 },
    );

    it('is never folded by the terminal, and every line of the agent’s words has its bar', () => {
      const bar = columns < 40 ? '│' : '  │ ';
      fc.assert(
        fc.property(words, words, (objective, body) => {
          const hold = holdOf({
            objective: objective.join(''),
            body: body.join(''),
            target: `/${objective.join('')}`,
            agent: body.join(''),
          });
          const lines = renderHold(hold, columns).split('\n');
          // A line holds at least one character, however narrow the terminal is.
          const most = Math.max(columns - 1, 4 + 2 * 5);
          for (const line of lines)
            expect(cells(line)).toBeLessThanOrEqual(columns > 18 ? columns - 1 : Math.max(most, 18));
          const said = lines.filter((line) => line.startsWith(bar)).map((line) => line.slice(bar.length));
          expect(said.join('')).toContain(visible(objective.join('')).text);
          for (const line of lines) expect(line).not.toMatch(/^ {2}would do +GET/);
          expect(lines.filter((line) => line === 'What the gateway knows').length).toBeLessThanOrEqual(1);
          for (const line of renderLine(hold, columns).split('\n').slice(1)) expect(line).toMatch(/^ /);
        }),
      );
    });
  });

  it('has its width from the terminal, from COLUMNS, or is 80 wide', () => {
    expect(columnsOf({ stdout: { columns: 132 }, env: { COLUMNS: '50' } })).toBe(132);
    expect(columnsOf({ stdout: {}, env: { COLUMNS: '50' } })).toBe(50);
    for (const COLUMNS of ['0', '-1', '1e3', '', ' 50', undefined])
      expect(columnsOf({ stdout: { columns: 0 }, env: { COLUMNS } })).toBe(80);
  });

  it('shows as JSON every character that is there, and parses to the same value', () => {
    const value = {
      objective: 'a\u009b31m\u202e\u200b\u3164\ufe0f\u{e0041}\u007f\ud800',
      list: ['\u2066x', { '\u061c': 'é 漢' }],
    };
    let out = '';
    printJson({ stdout: { write: (text: string) => (out += text) } as never }, value);
    expect(JSON.parse(out)).toEqual(value);
    expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}]/u);
    expect(out).toContain('é 漢');
  });
});
