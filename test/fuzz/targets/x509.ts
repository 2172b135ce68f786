// Certificates, as base64. What is accepted is one DER value and nothing besides, node:crypto and @peculiar/x509 read
// the same names and times, and reading it again gives the same. The seeds are made anew for each run; a finding is
// kept whole.

import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as peculiar from '@peculiar/x509';
import fc from 'fast-check';
import { parseCertificate } from '../../../src/identity/x509/certificate.ts';
import { CertificateFault } from '../../../src/identity/x509/certificate-fault.ts';
import { createAuthority } from '../../support/spiffe-authority.ts';
import { demand, type Target } from '../target.ts';

const authority = await createAuthority('fuzz.test');
const issued = [
  authority,
  await authority.issue(),
  await authority.issue({ uris: ['spiffe://fuzz.test/a', 'https://b.test'], dns: ['a.test'] }),
  await authority.issue({
    extendedUsages: false,
    usages: false,
    basicConstraints: false,
    uris: ['spiffe://fuzz.test/ns/a/sa/b'],
  }),
  await authority.issue({ ca: true, pathLength: 3 }),
];
const seeds = fc.constantFrom(...issued.map(({ der }) => der));
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  way: fc.constantFrom('set', 'flip', 'drop', 'insert', 'append', 'length'),
  byte: fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0x00, 0x01, 0x30, 0x31, 0x80, 0x81, 0x84, 0xa0, 0xff, 0x06, 0x0c, 0x86),
  ),
});

function apply(
  der: Uint8Array,
  { at, way, byte }: { readonly at: number; readonly way: string; readonly byte: number },
): Uint8Array {
  const place = Math.floor(at * der.length);
  const [before, after] = [der.subarray(0, place), der.subarray(place + 1)];
  if (way === 'drop') return Buffer.concat([before, after]);
  if (way === 'append') return Buffer.concat([der, new Uint8Array([byte])]);
  if (way === 'insert') return Buffer.concat([before, new Uint8Array([byte, der[place] ?? 0]), after]);
  // A length or a tag stands where a small number is: those are changed most to the point by one.
  const value =
    way === 'set' ? byte : way === 'flip' ? (der[place] ?? 0) ^ (1 << (byte & 7)) : (der[place] ?? 0) + (byte % 3) - 1;
  return Buffer.concat([before, new Uint8Array([value & 0xff]), after]);
}

export const x509: Target = {
  name: 'x509',
  drives: 'the reading of certificates',
  inputs: fc
    .tuple(seeds, fc.array(change, { maxLength: 5 }))
    .map(([der, changes]) => Buffer.from(changes.reduce(apply, der)).toString('base64')),
  read: (text) => void parseCertificate(new Uint8Array(Buffer.from(text, 'base64'))),
  check(text) {
    const der = new Uint8Array(Buffer.from(text, 'base64'));
    let read: ReturnType<typeof parseCertificate>;
    try {
      read = parseCertificate(der);
    } catch (thrown) {
      if (thrown instanceof CertificateFault) return;
      throw thrown;
    }
    const node = new X509Certificate(der);
    demand(node.raw.equals(der), 'There is more than one certificate.');
    demand(
      read.notBefore === node.validFromDate.getTime() && read.notAfter === node.validToDate.getTime(),
      'node:crypto reads other times.',
    );
    demand(read.isAuthority === node.ca, 'node:crypto reads another standing.');
    const other = new peculiar.X509Certificate(der);
    const names = other.getExtension(peculiar.SubjectAlternativeNameExtension)?.names.items ?? [];
    const uris = names.filter(({ type }) => type === 'url').map(({ value }) => value);
    demand(JSON.stringify(uris) === JSON.stringify(read.uris), '@peculiar/x509 reads other names.');
    const again = parseCertificate(der);
    demand(
      JSON.stringify({ ...again, x509: 0 }) === JSON.stringify({ ...read, x509: 0 }),
      'It does not read the same twice.',
    );
  },
};
