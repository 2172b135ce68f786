// The leaf of an X.509-SVID: every certificate that node:crypto, node:tls or a common library takes although SPIFFE
// refuses it, one by one.

import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/identity/x509/certificate.ts';
import { readSvidUnverified, verifySvid } from '../../../src/identity/x509/svid.ts';
import { type CertificateShape, createAuthority, EXTENDED, KEY_USAGE } from '../../support/spiffe-authority.ts';
import { HOUR_MS, nameConstraints, now, root, unknownExtension, verdict } from './verdict.ts';

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]) };

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
      verdict([await root.issue({ extendedUsages: false, dns: ['agent.internal'], more: [unknownExtension(false)] })]),
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
    ['an unknown critical extension', { more: [unknownExtension(true)] }, 'extension_critical'],
    ['an extension twice', { more: [unknownExtension(false), unknownExtension(false)] }, 'extension_repeated'],
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
