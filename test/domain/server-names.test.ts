// Names on a shared mount: every form has one reading, whatever servers call their things.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  agentId,
  agentName,
  agentUri,
  readAgentId,
  readAgentName,
  readAgentUri,
  readUpstreamName,
  sharedServerName,
} from '../../src/domain/server-names.ts';

const server = fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/);
/** Rich in what a seam is made of. */
const own = fc.string({ minLength: 1, unit: fc.constantFrom('_', '+', '/', 'a', '"', '\\', ':', '-', '1', 'é', ' ') });

describe('a name', () => {
  it('is read back as it was made', () => {
    fc.assert(
      fc.property(server, own, fc.oneof(own, fc.integer()), (at, name, id) => {
        expect(readAgentName(agentName(sharedServerName('m', at), name))).toEqual({ server: at, own: name });
        expect(readAgentUri(agentUri(at, name))).toEqual({ server: at, own: name });
        expect(readAgentId(agentId(at, id))).toEqual({ server: at, own: id });
        expect(readUpstreamName(sharedServerName('m', at))).toEqual({ mount: 'm', server: at });
      }),
    );
  });

  it('is never made by two servers', () => {
    fc.assert(
      fc.property(server, own, server, own, (one, name, other, otherName) => {
        fc.pre(one !== other || name !== otherName);
        expect(agentName(sharedServerName('m', one), name)).not.toBe(
          agentName(sharedServerName('m', other), otherName),
        );
        expect(agentUri(one, name)).not.toBe(agentUri(other, otherName));
        expect(agentId(one, name)).not.toBe(agentId(other, otherName));
      }),
    );
  });

  it('that no server could have made has no reading', () => {
    for (const name of ['', 'a', 'a__', '__a', 'A__x', 'a_b__x', 'a/b__x', '1a__x', `${'a'.repeat(33)}__x`])
      expect(readAgentName(name)).toBeUndefined();
    for (const uri of ['file:///x', 'a+', '+x', 'A+x', 'https://x/a+b']) expect(readAgentUri(uri)).toBeUndefined();
    for (const id of [1, null, 'a', 'a/', 'a/01', 'a/1.5', 'a/ 1', 'a/1e3', 'a/null', 'a/[1]', 'a/"\\u0061"'])
      expect(readAgentId(id)).toBeUndefined();
  });

  it('of an upstream that has its mount to itself is its own', () => {
    expect(agentName('tools', 'read')).toBe('read');
    expect(readUpstreamName('tools')).toEqual({ mount: 'tools' });
  });
});
