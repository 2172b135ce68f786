// One line of the audit log: what is written is read again, and nothing else is taken for a line.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { lineDigest, NO_LINE, readLine, writeLine } from '../../src/audit/chain.ts';

const envelope = { seq: 1, time: 1_800_000_000_000, prev: NO_LINE, type: 'decision' } as const;
const line = writeLine(envelope, { call: 'c', text: 'é \u202e' });

/** The same line with another text in it, and a checksum that fits. */
function altered(from: string, to: string): Uint8Array {
  const text = line.slice(0, line.lastIndexOf(',"crc":')).replace(from, to);
  const sum = crc32(Buffer.from(text)).toString(16).padStart(8, '0');
  return Buffer.from(`${text},"crc":"${sum}"}`);
}

describe('a line', () => {
  it('is read as it was written', () => {
    const time = new Date(envelope.time).toISOString();
    expect(readLine(Buffer.from(line))).toMatchObject({ ...envelope, v: 1, time, call: 'c', text: 'é \u202e' });
    expect(lineDigest(line)).toBe(lineDigest(Buffer.from(line)));
    expect(line).not.toContain('\u202e');
  });

  it('is read when only a text in it is another, and its checksum fits', () => {
    expect(readLine(altered('"c"', '"d"'))).toMatchObject({ call: 'd' });
  });

  it.each([
    ['of another version', '"v":1', '"v":2'],
    ['without a number', '"seq":1', '"seq":"1"'],
    ['with a number beyond what is exact', '"seq":1', '"seq":9007199254740993'],
    ['without a time', '"time":"', '"when":"'],
    ['whose previous line is no text', `"prev":"${NO_LINE}"`, '"prev":0'],
    ['whose type is no text', '"type":"decision"', '"type":1'],
    ['that is no JSON', '{"v":1', '{v:1'],
  ])('%s is none', (_what, from, to) => {
    expect(altered(from, to).length).toBeGreaterThan(0);
    expect(readLine(altered(from, to))).toBeUndefined();
  });

  it('is none when a byte of it is another', () => {
    const bytes = Buffer.from(line);
    bytes[line.indexOf('decision')] = 0x44;
    expect(readLine(bytes)).toBeUndefined();
  });

  it.each(['v', 'seq', 'time', 'prev', 'type', 'crc'])('is not written for a record that says %s itself', (name) => {
    expect(() => writeLine(envelope, { [name]: 1 })).toThrow(TypeError);
  });
});
