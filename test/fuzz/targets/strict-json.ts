// Strict JSON. What is accepted, JSON.parse reads alike, and a plain reader that is written here finds no key twice and
// nothing that another parser reads differently; what is refused, that reader has a reason for.

import { isDeepStrictEqual } from 'node:util';
import { parseStrictJson } from '../../../src/domain/strict-json.ts';
import { jsonText } from '../inputs.ts';
import { accepted, demand, type Target } from '../target.ts';

/**
 * Why a strict parser may refuse a text that JSON.parse takes; undefined when there is no reason. A slow and separate
 * reading.
 */
export function reasonToRefuse(text: string): string | undefined {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\],:]/g) ?? [];
  const open: (Set<string> | undefined)[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token === '{' || token === '[') open.push(token === '{' ? new Set() : undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token.startsWith('"')) {
      const value = JSON.parse(token) as string;
      if (!value.isWellFormed()) return 'surrogate';
      if (tokens[index + 1] !== ':') continue;
      if (value === '__proto__') return 'prototype';
      if (open.at(-1)?.has(value) === true) return 'twice';
      open.at(-1)?.add(value);
    } else if (/[\d]/.test(token) && !keepsItsDigits(token)) return 'number';
    if (open.length > 64) return 'depth';
  }
  return undefined;
}

function keepsItsDigits(token: string): boolean {
  const value = Number(token);
  if (!Number.isFinite(value) || Object.is(value, -0)) return false;
  const plain = (text: string): string => {
    const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
    const [whole = '', fraction = ''] = mantissa.split('.');
    const digits = BigInt((whole + fraction).replace('-', ''));
    let [significant, scale] = [digits, Number(exponent) - fraction.length];
    if (significant === 0n) return '0';
    for (; significant % 10n === 0n; scale++) significant /= 10n;
    return `${mantissa.startsWith('-') ? '-' : ''}${significant}e${scale}`;
  };
  return plain(String(value)) === plain(token) && (!/^-?\d+$/.test(token) || Number.isSafeInteger(value));
}

export const strictJson: Target = {
  name: 'strict-json',
  drives: 'the strict parser of bodies and tokens',
  inputs: jsonText,
  read: (text) => void parseStrictJson(new TextEncoder().encode(text)),
  check(text) {
    const bytes = new TextEncoder().encode(text);
    const value = accepted(() => parseStrictJson(bytes));
    let standard: unknown;
    try {
      standard = JSON.parse(text);
    } catch {
      demand(value === undefined, 'A text that is no JSON is accepted.');
      return;
    }
    // The encoder has put another character in the place of a lone surrogate.
    if (!text.isWellFormed()) return;
    const reason = reasonToRefuse(text);
    demand(
      (value === undefined) === (reason !== undefined),
      `${value === undefined ? 'Refused' : 'Accepted'}, and the other reader says: ${reason ?? 'nothing'}.`,
    );
    if (value === undefined) return;
    demand(isDeepStrictEqual(value, standard), 'JSON.parse reads another value.');
    // What is beyond 2^53 may come back as an integer, which is refused for its digits.
    if (/\d[eE]/.test(text)) return;
    demand(
      isDeepStrictEqual(parseStrictJson(new TextEncoder().encode(JSON.stringify(value))), value),
      'It does not come back from a round trip.',
    );
  },
};
