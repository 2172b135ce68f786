// Every certificate of the notes that node:crypto, node:tls or a common library takes although SPIFFE refuses it, one
// by one; and the walker as a whole against chains that were made at random.

import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readDerAuthorities, splitDer } from '../../../src/identity/x509/authorities.ts';
import { parseCertificate } from '../../../src/identity/x509/certificate.ts';
import { CertificateFault } from '../../../src/identity/x509/certificate-fault.ts';
import { readSvidUnverified, verifySvid } from '../../../src/identity/x509/svid.ts';
import {
  type Authority,
  type CertificateShape,
  createAuthority,
  EXTENDED,
  type Issued,
  KEY_USAGE,
  newKeys,
} from '../../support/spiffe-authority.ts';

const HOUR_MS = 3_600_000;
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]) };
const now = Date.now();
let root: Authority;
let other: Authority;

beforeAll(async () => {
  root = await createAuthority('prod.test');
  other = await createAuthority('stage.test');
});

function verdict(chain: readonly (Issued | Uint8Array)[], authorities: readonly Issued[] = [root], at = now): string {
  try {
    const svid = readSvidUnverified(chain.map((entry) => ('der' in entry ? entry.der : entry)));
    verifySvid(
      svid,
      authorities.map(({ der }) => parseCertificate(der)),
      at,
    );
    return svid.spiffeId.id;
  } catch (thrown) {
    if (thrown instanceof CertificateFault) return thrown.check;
    throw thrown;
  }
}

const unknown = (critical: boolean) => new x509.Extension('1.3.6.1.4.1.99999.1', critical, new Uint8Array([5, 0]));
// permittedSubtrees: one URI name, `prod.test`.
const nameConstraints = new x509.Extension(
  '2.5.29.30',
  true,
  Buffer.from(`300fa00d300b8609${Buffer.from('prod.test').toString('hex')}`, 'hex'),
);

describe('the leaf', () => {
  // The kind: a time that is no time. node:crypto gives a date for one all the same, and another one each time.
  it.each(['\0', '/', ':', 'A', ' ', '-'])(
    'is refused when its times are none: with %j for a digit',
    async (character) => {
      const { der } = await root.issue();
      // UTCTime (tag 0x17) of thirteen characters.
      const place = Buffer.from(der).indexOf(Buffer.from([0x17, 13]));
      for (const digit of [0, 3, 7, 11]) {
        const spoiled = Uint8Array.from(der);
        spoiled[place + 2 + digit] = character.charCodeAt(0);
        // A date that was read before is what such memory may hold: about one in a hundred was seen.
        const verdicts = Array.from({ length: 100 }, () => [verdict([der]), verdict([spoiled])][1]);
        expect(new Set(verdicts)).toEqual(new Set(['der']));
      }
    },
  );

  it('is taken when it follows the profile, with and without extended usage', async () => {
    expect(verdict([await root.issue()])).toBe('spiffe://prod.test/agent');
    expect(
      verdict([await root.issue({ extendedUsages: false, dns: ['agent.internal'], more: [unknown(false)] })]),
    ).toBe('spiffe://prod.test/agent');
  });

  it.each<[string, CertificateShape, string]>([
    ['two URIs', { uris: ['spiffe://prod.test/a', 'spiffe://prod.test/b'] }, 'uri_count'],
    ['two URIs, one of which is no SPIFFE ID', { uris: ['spiffe://prod.test/a', 'https://prod.test/b'] }, 'uri_count'],
    ['no URI', { uris: [], dns: ['agent.internal'] }, 'uri_count'],
    ['a URI of another scheme', { uris: ['https://prod.test/a'] }, 'spiffe_id'],
    ['the SPIFFE ID of a trust domain', { uris: ['spiffe://prod.test'] }, 'spiffe_id'],
    ['a SPIFFE ID with a port', { uris: ['spiffe://prod.test:1/a'] }, 'spiffe_id'],
    [
      'a SPIFFE ID with a comma and a second name in it',
      { uris: ['spiffe://prod.test/a, URI:spiffe://prod.test/b'] },
      'spiffe_id',
    ],
    ['the standing of an authority', { ca: true, uris: ['spiffe://prod.test/a'] }, 'leaf_authority'],
    ['keyCertSign', { usages: KEY_USAGE.leaf | KEY_USAGE.flags.keyCertSign }, 'leaf_key_usage'],
    ['cRLSign', { usages: KEY_USAGE.leaf | KEY_USAGE.flags.cRLSign }, 'leaf_key_usage'],
    ['no digitalSignature', { usages: KEY_USAGE.flags.keyEncipherment }, 'leaf_key_usage'],
    ['no key usage', { usages: false }, 'leaf_key_usage'],
    ['a key usage that is not critical', { usagesCritical: false }, 'leaf_key_usage_critical'],
    ['an extended usage for servers only', { extendedUsages: [EXTENDED.serverAuth] }, 'leaf_extended_key_usage'],
    ['an extended usage for something else', { extendedUsages: [EXTENDED.codeSigning] }, 'leaf_extended_key_usage'],
    ['an unknown critical extension', { more: [unknown(true)] }, 'extension_critical'],
    ['an extension twice', { more: [unknown(false), unknown(false)] }, 'extension_repeated'],
    [
      'a second SAN',
      { more: [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://prod.test/b' }])] },
      'extension_repeated',
    ],
    ['name constraints', { more: [nameConstraints] }, 'name_constraints'],
    ['an end in the past', { notBefore: now - 2 * HOUR_MS, notAfter: now - HOUR_MS }, 'expired'],
    ['a beginning in the future', { notBefore: now + HOUR_MS, notAfter: now + 2 * HOUR_MS }, 'not_yet_valid'],
  ])('is refused with %s', async (_what, shape, expected) => {
    expect(verdict([await root.issue(shape)])).toBe(expected);
  });

  it('is refused when it is not exactly one DER certificate', async () => {
    const leaf = await root.issue();
    const broken = Buffer.from(leaf.der);
    broken[1] = 0x80;
    for (const bytes of [
      Buffer.concat([leaf.der, Buffer.from([0])]),
      Buffer.from(leaf.pem),
      leaf.der.subarray(0, 40),
      new Uint8Array(),
      broken,
    ]) {
      expect(verdict([bytes])).toBe('der');
    }
    expect(verdict([Buffer.alloc(20_000, 0x30)])).toBe('size');
    expect(verdict([])).toBe('der');
  });
});

describe('a certificate of another making', () => {
  it('is refused when it is not of version 3', async () => {
    // [0] EXPLICIT INTEGER: 2 stands for version 3.
    const marker = Buffer.from([0xa0, 0x03, 0x02, 0x01, 0x02]);
    for (const version of [0, 1]) {
      const der = Buffer.from((await root.issue()).der);
      der[der.indexOf(marker) + 4] = version;
      expect(verdict([der])).toBe('version');
    }
  });

  it('is refused with a signature over SHA-1, and with two answers to which algorithm signed it', async () => {
    const sha1 = await root.issue({ signing: { name: 'ECDSA', hash: 'SHA-1' } });
    expect(verdict([sha1])).toBe('signature_algorithm');
    // ecdsa-with-SHA256 becomes ecdsa-with-SHA384 where the signature itself names it; what was signed stays.
    const der = Buffer.from((await root.issue()).der);
    const oid = Buffer.from('06082a8648ce3d040302', 'hex');
    der[der.lastIndexOf(oid) + oid.length - 1] = 3;
    expect(verdict([der])).toBe('signature_algorithm');
  });

  // Kind: an algorithm whose strength is in its parameters, of which only the name was looked at.
  describe('that an RSA-PSS authority signed', () => {
    const signed = async (hash: string, saltLength: number) => {
      const rsa = { name: 'RSA-PSS', hash, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
      const keys = (await crypto.subtle.generateKey(rsa, true, ['sign', 'verify'])) as NonNullable<
        CertificateShape['keys']
      >;
      const authority = await createAuthority('prod.test', { keys, signing: { name: 'RSA-PSS', hash, saltLength } });
      return { authority, leaf: await authority.issue({ signing: { name: 'RSA-PSS', hash, saltLength } }) };
    };
    /** The leaf with these bytes of its algorithm identifiers, both of them, replaced by as many. */
    const altered = (der: Uint8Array, from: RegExp, to: string) =>
      Buffer.from(Buffer.from(der).toString('hex').replaceAll(from, to), 'hex');

    it.each([
      ['SHA-256', 32],
      ['SHA-384', 48],
      ['SHA-512', 64],
      // OpenSSL's default: as many as fit.
      ['SHA-256', 222],
      ['SHA-384', 206],
      ['SHA-512', 190],
    ])('is taken over %s with a salt of %i bytes', async (hash, saltLength) => {
      const { authority, leaf } = await signed(hash, saltLength);
      expect(verdict([leaf], [authority])).toBe('spiffe://prod.test/agent');
    });

    it('is refused over SHA-1', async () => {
      const { leaf } = await signed('SHA-1', 20);
      expect(verdict([leaf])).toBe('signature_algorithm');
    });

    it('is refused with a weak hash for the mask, two hashes, a short salt, or another hash within than without', async () => {
      const { leaf } = await signed('SHA-256', 32);
      const [anywhere, inMask, salt] = [
        /(?<=0609608648016503040)201/g,
        /(?<=2a864886f70d010108300[bd]0609608648016503040)201/g,
        /(?<=a2030201)20/g,
      ];
      expect(verdict([altered(leaf.der, anywhere, '204')])).toBe('signature_algorithm');
      expect(verdict([altered(leaf.der, inMask, '204')])).toBe('signature_algorithm');
      expect(verdict([altered(leaf.der, inMask, '203')])).toBe('signature_algorithm');
      expect(verdict([altered(leaf.der, salt, '01')])).toBe('signature_algorithm');
      const once = Buffer.from(leaf.der);
      once[once.lastIndexOf(Buffer.from('a203020120', 'hex')) + 4] = 0x30;
      expect(verdict([once])).toBe('signature_algorithm');
    });
  });

  // Kind: bytes that a parser passes over, and another one reads.
  it.each<[string, (san: Buffer) => Buffer]>([
    ['a byte behind its names', (san) => Buffer.concat([san, Buffer.from([0])])],
    ['a second list of names', (san) => Buffer.concat([san, san])],
    ['a null behind its names', (san) => Buffer.concat([san, Buffer.from([5, 0])])],
    [
      'a length in more bytes than it needs',
      (san) => Buffer.concat([Buffer.from([0x30, 0x81, san.length - 2]), san.subarray(2)]),
    ],
    ['no definite length', (san) => Buffer.concat([Buffer.from([0x30, 0x80]), san.subarray(2), Buffer.from([0, 0])])],
  ])('is refused with a SAN that has %s', async (_what, change) => {
    const uri = Buffer.from('spiffe://prod.test/agent');
    const san = Buffer.concat([Buffer.from([0x30, uri.length + 2, 0x86, uri.length]), uri]);
    const shape = (value: Buffer) => ({ uris: [], more: [new x509.Extension('2.5.29.17', false, value)] });
    expect(verdict([await root.issue(shape(san))])).toBe('spiffe://prod.test/agent');
    expect(verdict([await root.issue(shape(change(san)))])).toBe('der');
  });

  // Kind: work that a stranger chooses before anybody is trusted.
  it('is looked at alone as long as nobody who could have issued it is trusted', async () => {
    const leaf = await root.issue();
    const svid = readSvidUnverified([leaf.der, ...Array.from({ length: 6 }, () => Buffer.alloc(3_000, 0x30))]);
    expect(svid.spiffeId.trustDomain).toBe('prod.test');
    expect(() => verifySvid(svid, [parseCertificate(root.der)], now)).toThrow('der');
  });

  it.each<[string, CertificateShape, string]>([
    [
      'more names than an honest one has',
      { dns: Array.from({ length: 400 }, (_, i) => `host-${i}.prod.test`) },
      'size',
    ],
    ['names of which a few are huge', { dns: ['a'.repeat(4_096)] }, 'size'],
    [
      'a subject of many kilobytes',
      { subject: Array.from({ length: 400 }, (_, i) => `CN=name-number-${i}`).join(', ') },
      'size',
    ],
    [
      'more extensions than an honest one has',
      {
        more: Array.from(
          { length: 40 },
          (_, i) => new x509.Extension(`1.3.6.1.4.1.99999.${i}`, false, new Uint8Array([5, 0])),
        ),
      },
      'extensions',
    ],
  ])('is refused with %s', async (_what, shape, expected) => {
    expect(verdict([await root.issue(shape)])).toBe(expected);
  });

  it('is refused with a chain of more bytes than an honest one has', async () => {
    const leaf = await root.issue();
    expect(verdict([leaf.der, ...Array.from({ length: 4 }, () => Buffer.alloc(7_000))])).toBe('size');
  });

  it.each<[string, () => Promise<unknown>]>([
    ['RSA of 1024 bits', () => crypto.subtle.generateKey({ ...RSA, modulusLength: 1024 }, true, ['sign', 'verify'])],
    ['X25519, which signs nothing', () => crypto.subtle.generateKey({ name: 'X25519' }, true, ['deriveBits'])],
  ])('is refused with a key of %s', async (_what, make) => {
    const keys = (await make()) as CertificateShape['keys'];
    expect(verdict([await root.issue({ ...(keys && { keys }) })])).toBe('key');
  });

  it('is taken with RSA of 2048 bits and with Ed25519', async () => {
    for (const algorithm of [{ ...RSA, modulusLength: 2048 }, { name: 'Ed25519' }]) {
      const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CertificateShape['keys'];
      expect(verdict([await root.issue({ ...(keys && { keys }) })])).toBe('spiffe://prod.test/agent');
    }
  });
});

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
    ['an authority with an unknown critical extension', { more: [unknown(true)] }, 'extension_critical'],
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

describe('authorities of a bundle', () => {
  it('come as a run of DER; what is no fit authority is left out', async () => {
    const leaf = await root.issue();
    const run = Buffer.concat([root.der, leaf.der, other.der]);
    expect(readDerAuthorities(run).map(({ x509: { subject } }) => subject)).toEqual([
      'CN=prod.test root',
      'CN=stage.test root',
    ]);
    expect(readDerAuthorities(new Uint8Array())).toEqual([]);
    for (const bytes of [
      run.subarray(0, -1),
      Buffer.concat([run, Buffer.from([0x30])]),
      Buffer.from('nonsense'),
      Buffer.from([0x30, 0x80]),
      Buffer.from([0x31, 0x00]),
    ]) {
      expect(() => readDerAuthorities(bytes)).toThrow('not_der');
    }
  });

  it('are split without loss, and never read beyond their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        let parts: Uint8Array[];
        try {
          parts = splitDer(bytes);
        } catch {
          return;
        }
        expect(Buffer.concat(parts)).toEqual(Buffer.from(bytes));
      }),
    );
  });
});
