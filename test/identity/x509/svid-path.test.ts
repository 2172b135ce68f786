// The path from a leaf to an authority of the bundle: which chains lead there, and the walker as a whole against chains
// that were made at random.

import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/identity/x509/certificate.ts';
import { readSvidUnverified, verifySvid } from '../../../src/identity/x509/svid.ts';
import {
  type Authority,
  type CertificateShape,
  createAuthority,
  EXTENDED,
  KEY_USAGE,
  newKeys,
} from '../../support/spiffe-authority.ts';
import { HOUR_MS, nameConstraints, now, other, root, unknownExtension, verdict } from './verdict.ts';

describe('the path', () => {
  it('leads over intermediates in any order, and over a root that was sent along', async () => {
    const first = await root.intermediate('first');
    const second = await first.intermediate('second');
    const leaf = await second.issue();
    for (const chain of [
      [leaf, second, first],
      [leaf, first, second],
      [leaf, second, first, root],
      [leaf, other, second, first],
    ]) {
      expect(verdict(chain)).toBe('spiffe://prod.test/agent');
    }
    expect(verdict([leaf, second])).toBe('authority_unknown');
    expect(verdict([leaf])).toBe('authority_unknown');
  });

  it('ends at the trust domain’s own authorities only', async () => {
    const foreign = await other.issue();
    expect(verdict([foreign])).toBe('authority_unknown');
    expect(verdict([foreign, other])).toBe('authority_unknown');
    expect(verdict([await root.issue()], [])).toBe('authority_unknown');
  });

  it('is found among many authorities of one name by their key identifiers, without trying the signature of each', async () => {
    const make = async () => {
      const keys = await newKeys();
      return createAuthority('prod.test', {
        keys,
        more: [await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
      });
    };
    const namesakes = await Promise.all(Array.from({ length: 40 }, make));
    const last = namesakes[39] as Authority;
    const identified = await last.issue({
      more: [await x509.AuthorityKeyIdentifierExtension.create(last.keys.publicKey)],
    });
    expect(verdict([identified], namesakes)).toBe('spiffe://prod.test/agent');
    expect(verdict([await last.issue()], namesakes)).toBe('work');
  });

  it('is refused when an authority of the right name has another key', async () => {
    const impostor = await createAuthority('prod.test');
    expect(verdict([await impostor.issue()])).toBe('signature');
    expect(verdict([await root.issue()], [impostor, root])).toBe('spiffe://prod.test/agent');
  });

  it.each<[string, CertificateShape, string]>([
    [
      'a certificate that is no authority',
      { ca: false, usages: KEY_USAGE.authority, extendedUsages: false },
      'not_authority',
    ],
    [
      'a certificate without basic constraints',
      { basicConstraints: false, usages: KEY_USAGE.authority },
      'not_authority',
    ],
    ['an authority without keyCertSign', { usages: KEY_USAGE.flags.cRLSign }, 'authority_key_usage'],
    ['an authority without key usage', { usages: false }, 'authority_key_usage'],
    ['an authority for servers only', { extendedUsages: [EXTENDED.serverAuth] }, 'authority_extended_key_usage'],
    ['an authority that has expired', { notBefore: now - 2 * HOUR_MS, notAfter: now - HOUR_MS }, 'authority_expired'],
    ['an authority with name constraints', { more: [nameConstraints] }, 'name_constraints'],
    ['an authority with an unknown critical extension', { more: [unknownExtension(true)] }, 'extension_critical'],
  ])('is refused over %s', async (_what, shape, expected) => {
    const middle = await root.intermediate('middle', shape);
    expect(verdict([await middle.issue(), middle])).toBe(expected);
  });

  it('is refused over a workload’s own certificate', async () => {
    const workload = await root.issue({ subject: 'CN=workload' });
    const below = await createAuthority('prod.test', { subject: 'CN=workload', keys: workload.keys });
    expect(verdict([await below.issue(), workload])).toBe('not_authority');
  });

  it('is as short as each of its authorities demands', async () => {
    const strict = await createAuthority('prod.test', { subject: 'CN=strict', pathLength: 0 });
    expect(verdict([await strict.issue()], [strict])).toBe('spiffe://prod.test/agent');
    const middle = await strict.intermediate('middle');
    expect(verdict([await middle.issue(), middle], [strict])).toBe('path_length');
    const one = await root.intermediate('one', { pathLength: 0 });
    const two = await one.intermediate('two');
    expect(verdict([await two.issue(), two, one])).toBe('path_length');
  });

  // Kind: a bound that the docs name and the code passes by one.
  it('leads over five intermediates and not over six, self-issued ones included', async () => {
    const chain: Authority[] = [];
    for (let i = 0; i < 6; i++) chain.unshift(await (chain[0] ?? root).intermediate(`level-${i}`));
    const [sixth, ...five] = chain;
    expect(verdict([await (five[0] as Authority).issue(), ...five])).toBe('spiffe://prod.test/agent');
    expect(verdict([await (five[0] as Authority).issue(), ...five, root])).toBe('spiffe://prod.test/agent');
    expect(verdict([await (sixth as Authority).issue(), sixth as Authority, ...five])).toBe('authority_unknown');
    const renewed: Authority[] = [];
    for (let i = 0; i < 6; i++) renewed.unshift(await (renewed[0] ?? root).intermediate('same'));
    expect(verdict([await (renewed[0] as Authority).issue(), ...renewed])).not.toBe('spiffe://prod.test/agent');
  });

  it('is refused when there are more certificates than an honest chain needs', async () => {
    const middle = await root.intermediate('middle');
    const leaf = await middle.issue();
    expect(verdict([leaf, ...Array.from({ length: 7 }, () => middle)])).toBe('chain_length');
  });

  it('does not run away on authorities that vouch for each other', async () => {
    const keys = await newKeys();
    const twins = await Promise.all(
      Array.from({ length: 6 }, () => createAuthority('prod.test', { subject: 'CN=loop', keys })),
    );
    const [first] = twins;
    if (first === undefined) throw new Error('no authority');
    expect(verdict([await first.issue(), ...twins])).toBe('work');
  });

  it('holds until the first of its certificates ends', async () => {
    const until = Math.floor(now / 1000) * 1000 + 10 * 60_000;
    const middle = await root.intermediate('middle', { notAfter: until });
    const svid = readSvidUnverified([(await middle.issue()).der, middle.der]);
    expect(verifySvid(svid, [parseCertificate(root.der)], now)).toBe(until);
    expect(verdict([await middle.issue(), middle], [root], until)).toBe('authority_expired');
  });

  it('is found exactly when every link holds, whatever the chain', async () => {
    const link = fc.record({
      authority: fc.boolean(),
      signs: fc.boolean(),
      pathLength: fc.option(fc.nat(3), { nil: undefined }),
      valid: fc.boolean(),
      sent: fc.boolean(),
    });
    const mostly = fc.array(
      fc.oneof(
        {
          weight: 3,
          arbitrary: fc.constant({ authority: true, signs: true, pathLength: undefined, valid: true, sent: true }),
        },
        link,
      ),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(mostly, fc.nat(), async (links, seed) => {
        let above = root;
        const chain: Authority[] = [];
        for (const [index, { authority, signs, pathLength, valid }] of links.entries()) {
          above = await above.intermediate(`link ${index}`, {
            ca: authority,
            ...(authority && pathLength !== undefined && { pathLength }),
            usages: signs ? KEY_USAGE.authority : KEY_USAGE.leaf,
            extendedUsages: false,
            uris: [],
            ...(!valid && { notBefore: now - 2 * HOUR_MS, notAfter: now - HOUR_MS }),
          });
          chain.push(above);
        }
        const leaf = await above.issue();
        const sent = chain.filter((_, index) => links[index]?.sent);
        const rotated =
          sent.length === 0 ? [] : [...sent.slice(seed % sent.length), ...sent.slice(0, seed % sent.length)];
        const holds = links.every(
          ({ authority, signs, pathLength, valid, sent: there }, index) =>
            authority && signs && valid && there && (pathLength ?? 9) >= links.length - 1 - index,
        );
        expect(verdict([leaf, ...rotated]) === 'spiffe://prod.test/agent').toBe(holds);
      }),
      { numRuns: 60 },
    );
  });
});
