// Authorities and X.509-SVIDs of a test's own making, good and bad: each part of a certificate can be replaced, so that
// every rule of the walker meets the certificate that breaks it. Keys and signatures are real (WebCrypto through
// @peculiar/x509).

import { countFrom } from './count.ts';
import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const MINUTE_MS = 60_000;

const USAGE = x509.KeyUsageFlags;
export const KEY_USAGE = {
  leaf: USAGE.digitalSignature,
  authority: USAGE.keyCertSign | USAGE.cRLSign,
  flags: USAGE,
} as const;
export const EXTENDED = x509.ExtendedKeyUsage;

export interface CertificateShape {
  readonly subject?: string;
  readonly serial?: string;
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly sanCritical?: boolean;
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** `false` leaves the extension out. */
  readonly basicConstraints?: boolean;
  readonly usages?: number | false;
  readonly usagesCritical?: boolean;
  readonly extendedUsages?: readonly string[] | false;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Further extensions, duplicates and unknown ones included. */
  readonly more?: readonly x509.Extension[];
  readonly keys?: webcrypto.CryptoKeyPair;
  /** How it is signed; default ECDSA with SHA-256. */
  readonly signing?:
    | { readonly name: 'ECDSA'; readonly hash: string }
    | { readonly name: 'RSA-PSS'; readonly hash: string; readonly saltLength: number };
}

export interface Issued {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly keyPem: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface Authority extends Issued {
  readonly name: string;
  issue(shape?: CertificateShape): Promise<Issued>;
  /** An authority below this one. */
  intermediate(name: string, shape?: CertificateShape): Promise<Authority>;
}

export const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

const serial = countFrom(1);

/** A self-signed authority; `uris` default to the trust domain's own SPIFFE ID. */
export async function createAuthority(trustDomain: string, shape: CertificateShape = {}): Promise<Authority> {
  const name = shape.subject ?? `CN=${trustDomain} root`;
  const keys = shape.keys ?? (await newKeys());
  const issued = await make(name, name, keys, keys, {
    uris: [`spiffe://${trustDomain}`],
    ...shape,
    ca: shape.ca ?? true,
  });
  return authorityOf(name, issued);
}

function authorityOf(name: string, issued: Issued): Authority {
  return {
    ...issued,
    name,
    async issue(shape = {}) {
      return make(shape.subject ?? 'CN=workload', name, shape.keys ?? (await newKeys()), issued.keys, shape);
    },
    async intermediate(child, shape = {}) {
      return authorityOf(
        `CN=${child}`,
        await make(`CN=${child}`, name, shape.keys ?? (await newKeys()), issued.keys, {
          ...shape,
          ca: shape.ca ?? true,
        }),
      );
    },
  };
}

async function make(
  subject: string,
  issuer: string,
  keys: webcrypto.CryptoKeyPair,
  signer: webcrypto.CryptoKeyPair,
  shape: CertificateShape,
): Promise<Issued> {
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: shape.serial ?? serial().toString(16).padStart(4, '0'),
    subject,
    issuer,
    notBefore: new Date(shape.notBefore ?? Date.now() - MINUTE_MS),
    notAfter: new Date(shape.notAfter ?? Date.now() + 60 * MINUTE_MS),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: shape.signing ?? ALGORITHM,
    extensions: extensionsOf(shape),
  });
  const der = new Uint8Array(certificate.rawData);
  return {
    der,
    pem: `${certificate.toString('pem')}\n`,
    keyPem: KeyObject.from(keys.privateKey as never).export({ type: 'pkcs8', format: 'pem' }) as string,
    keys,
  };
}

function extensionsOf(shape: CertificateShape): x509.Extension[] {
  const {
    ca = false,
    uris = ca ? [] : ['spiffe://prod.test/agent'],
    dns = [],
    usages,
    extendedUsages,
    more = [],
  } = shape;
  const names = [
    ...uris.map((value) => ({ type: 'url', value }) as const),
    ...dns.map((value) => ({ type: 'dns', value }) as const),
  ];
  const extended = extendedUsages ?? (ca ? false : [EXTENDED.clientAuth, EXTENDED.serverAuth]);
  return [
    ...(shape.basicConstraints === false ? [] : [new x509.BasicConstraintsExtension(ca, shape.pathLength, true)]),
    ...(usages === false
      ? []
      : [
          new x509.KeyUsagesExtension(
            usages ?? (ca ? KEY_USAGE.authority : KEY_USAGE.leaf),
            shape.usagesCritical ?? true,
          ),
        ]),
    ...(extended === false ? [] : [new x509.ExtendedKeyUsageExtension([...extended], false)]),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, shape.sanCritical ?? false)]),
    ...more,
  ];
}

/** A SPIFFE bundle document (JWKS form) of these authorities. */
export function bundleDocument(
  authorities: readonly Issued[],
  more: Readonly<Record<string, unknown>> = {},
  jwtKeys: readonly object[] = [],
): string {
  const keys = authorities.map(({ der, keys: pair }) => ({
    ...KeyObject.from(pair.publicKey as never).export({ format: 'jwk' }),
    use: 'x509-svid',
    x5c: [Buffer.from(der).toString('base64')],
  }));
  return JSON.stringify({ keys: [...keys, ...jwtKeys], ...more });
}
