// What the page of a hold shows of the call: every member of what would be sent, and nothing that takes a browser or
// the gateway too long.

import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical.ts';
import type { HeldContent, Hold } from '../../src/domain/hold.ts';
import { showAction } from '../../src/review/pages/arguments.ts';

function show(bodyText: string, argsAt?: readonly string[]) {
  const action = { bodyLength: Buffer.byteLength(bodyText), bodyDigest: sha256(bodyText) };
  const content: HeldContent = { bodyText, ...(argsAt && { argsAt }) };
  return showAction({ action } as Hold, content);
}

const TOOL_CALL = ['params', 'arguments'];
const call = (params: object) =>
  JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'pay', arguments: { amount: 1 }, ...params },
  });

// Pins the kind "a member that nobody was shown": what a tool call carries beside its arguments goes upstream with it.
describe('a tool call on the page', () => {
  it.each<[string, object, readonly string[]]>([
    ['a member that MCP does not know', { input: { amount: 9000 } }, ['input', '9000']],
    ['a member like a known one', { argument_s: { to: 'evil' } }, ['argument_s', 'evil']],
    ['members of _meta', { _meta: { 'x.example/tenant': 'other' } }, ['_meta', 'x.example/tenant', 'other']],
    ['a round trip’s answers', { inputResponses: { ask: { action: 'accept' } } }, ['inputResponses', 'accept']],
    ['a name that is written so that it is not seen', { 'a\u200bmount': 2 }, ['U+200B']],
  ])('shows %s in a tree of its own', async (_what, params, texts) => {
    const { tree, beside } = show(call(params), TOOL_CALL);
    expect(String(await tree)).toContain('amount');
    for (const text of texts) expect(String(await beside)).toContain(text);
  });

  it('has no such tree where there is nothing beside the arguments', () => {
    expect(show(call({}), TOOL_CALL)).not.toHaveProperty('beside');
    expect(show(JSON.stringify({ name: 'pay', amount: 1 }), [])).not.toHaveProperty('beside');
  });
});

// Pins the kind "a text that costs the console seconds": characters that have to be marked, in whatever way they are
// written.
describe('a body with too many characters to mark', () => {
  const LARGE = 100_000;
  it.each([
    ['letters that pass for others', 'сор'.repeat(LARGE)],
    ['words of them', 'сор '.repeat(LARGE)],
    ['fullwidth letters', 'ａ'.repeat(LARGE)],
    ['Greek letters', 'ο'.repeat(LARGE)],
    ['letters of two scripts', 'aс'.repeat(LARGE)],
    ['zero width spaces', '\u200b'.repeat(LARGE)],
    ['stacked marks', `a${'\u0301'.repeat(LARGE)}`],
  ])('cannot be approved there: %s', (_what, text) => {
    expect(show(text).fault).toContain('50,000');
    expect(show(JSON.stringify({ text }), []).fault).toContain('50,000');
  });

  it('written as escapes is shown as it is written, without a tree', async () => {
    const escaped = `{"text":"${'\\u043e'.repeat(LARGE)}"}`;
    const asKey = `{"${'\\u043e'.repeat(LARGE)}":1}`;
    for (const body of [escaped, asKey]) {
      const shown = show(body, []);
      expect(shown).not.toHaveProperty('tree');
      expect(String(await shown.body)).toContain('\\u043e');
    }
  });

  it('is not one of many letters of another script, nor of line ends and quotes', () => {
    for (const text of ['привет мир это текст\n'.repeat(5_000), '\n\t"<>&'.repeat(LARGE)])
      expect(show(text).fault).toBeUndefined();
  });
});
