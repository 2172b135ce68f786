// One certificate, read strictly (RFC 5280 section 4): node:crypto has the key and the signature, and the extensions,
// which node:crypto exposes in part and wrongly, are read from the DER. Nothing read here is authenticated before
// path.ts has found a path. Refuses what a validator must not pass over: repeated and unknown critical extensions, name
// constraints, weak keys and signatures.

import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  type AlgorithmIdentifier,
  BasicConstraints,
  Certificate as CertificateAsn1,
  ExtendedKeyUsage,
  type Extension,
  KeyUsage,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509';
import type { EpochMs } from '../../domain/clock.ts';
import { CertificateFault } from './certificate-fault.ts';

export interface Certificate {
  readonly x509: X509Certificate;
  readonly notBefore: EpochMs;
  readonly notAfter: EpochMs;
  readonly isAuthority: boolean;
  /** How many authorities may stand between this one and a leaf; undefined when that is not limited. */
  readonly pathLength?: number;
  /** The bits of `KEY_USAGE`; undefined when the extension is absent. */
  readonly keyUsage?: number;
  readonly keyUsageCritical: boolean;
  /** OIDs; undefined when the extension is absent. */
  readonly extendedKeyUsage?: readonly string[];
  /** The URI names, each exactly as written. */
  readonly uris: readonly string[];
}

export const KEY_USAGE = { digitalSignature: 1, keyCertSign: 32, cRLSign: 64 } as const;
export const EXTENDED_KEY_USAGE = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  any: '2.5.29.37.0',
} as const;

const OID = {
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  names: '2.5.29.17',
  nameConstraints: '2.5.29.30',
};
const UNDERSTOOD: ReadonlySet<string> = new Set([OID.basicConstraints, OID.keyUsage, OID.extendedKeyUsage, OID.names]);

/** SHA-2 with ECDSA, RSA PKCS #1 and RSA-PSS; Ed25519. */
const SIGNATURES: ReadonlySet<string> = new Set([
  ...['1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4'],
  ...['1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13', '1.2.840.113549.1.1.10'],
  '1.3.101.112',
]);
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

const PSS = '1.2.840.113549.1.1.10';
/**
 * RSASSA-PSS-params (RFC 4055 section 3.1) as hex: one SHA-2 hash, the same for the mask (MGF1), a salt of 32 bytes or
 * more (OpenSSL takes as many as fit the key unless it is told otherwise). The defaults, which stand for
 * what is left out, are SHA-1.
 */
const STRONG_PSS =
  /^30..(?:a00f300d|a00d300b)06096086480165030402(0[123])(?:0500)?(?:a11c301a|a11a3018)06092a864886f70d010108(?:300d|300b)06096086480165030402\1(?:0500)?(?:a2030201[2-7].|a2040202(?:00[89a-f].|0[123]..))$/;

/** No honest certificate of a workload or an authority is larger, or has more names. */
const MAX_DER_BYTES = 8 * 1024;
const MAX_EXTENSIONS = 32;
const MAX_NAMES_BYTES = 4 * 1024;
const VERSION_3 = 2;

/**
 * Throws CertificateFault `der`, `size`, `version`, `extension_repeated`, `extension_critical`, `extensions`,
 * `name_constraints`, `signature_algorithm`, `key`.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.byteLength > MAX_DER_BYTES) throw new CertificateFault('size');
  const x509 = parseX509(der);
  const { tbsCertificate, signatureAlgorithm } = parse(der, CertificateAsn1);
  if (tbsCertificate.version !== VERSION_3) throw new CertificateFault('version');
  checkSignatureAlgorithm(signatureAlgorithm, tbsCertificate.signature);
  checkKey(x509);
  return { x509, ...readValidity(x509), ...readExtensions(tbsCertificate.extensions ?? []) };
}

/**
 * The one that is outside is what is used, the one inside is what was signed: they have to be the same (RFC 5280
 * section 4.1.1.2).
 */
function checkSignatureAlgorithm(used: AlgorithmIdentifier, signed: AlgorithmIdentifier): void {
  const parameters = hexOf(used.parameters);
  const same = used.algorithm === signed.algorithm && parameters === hexOf(signed.parameters);
  if (!same || !SIGNATURES.has(used.algorithm) || (used.algorithm === PSS && !STRONG_PSS.test(parameters)))
    throw new CertificateFault('signature_algorithm');
}

const hexOf = (bytes: ArrayBuffer | null | undefined): string =>
  Buffer.from(bytes ?? new ArrayBuffer(0)).toString('hex');

function parseX509(der: Uint8Array): X509Certificate {
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(der);
  } catch {
    throw new CertificateFault('der');
  }
  // node:crypto reads PEM and passes over what follows the certificate.
  if (!x509.raw.equals(der)) throw new CertificateFault('der');
  return x509;
}

function parse<T>(der: Uint8Array | ArrayBuffer, type: new () => T): T {
  try {
    return AsnConvert.parse(der, type);
  } catch {
    throw new CertificateFault('der');
  }
}

function checkKey(x509: X509Certificate): void {
  let key: X509Certificate['publicKey'];
  try {
    key = x509.publicKey;
  } catch {
    throw new CertificateFault('key');
  }
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  const strong =
    key.asymmetricKeyType === 'ec'
      ? CURVES.has(namedCurve)
      : key.asymmetricKeyType === 'ed25519' ||
        (key.asymmetricKeyType?.startsWith('rsa') === true && modulusLength >= 2048 && modulusLength <= 8192);
  if (!strong) throw new CertificateFault('key');
}

/**
 * From the texts: of a time that is none, node:crypto gives a date all the same, made of memory that nobody has written
 * (seen with Node 24.21).
 */
function readValidity({ validFrom, validTo }: X509Certificate): Pick<Certificate, 'notBefore' | 'notAfter'> {
  const validity = { notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) };
  if (!Number.isFinite(validity.notBefore) || !Number.isFinite(validity.notAfter)) throw new CertificateFault('der');
  return validity;
}

type Extensions = Omit<Certificate, 'x509' | 'notBefore' | 'notAfter'>;

function readExtensions(extensions: readonly Extension[]): Extensions {
  if (extensions.length > MAX_EXTENSIONS) throw new CertificateFault('extensions');
  const found = new Map<string, Extension>();
  for (const extension of extensions) {
    if (found.has(extension.extnID)) throw new CertificateFault('extension_repeated');
    found.set(extension.extnID, extension);
  }
  // Nothing here would enforce them, so nothing that carries them is believed.
  if (found.has(OID.nameConstraints)) throw new CertificateFault('name_constraints');
  if (extensions.some(({ extnID, critical }) => critical && !UNDERSTOOD.has(extnID)))
    throw new CertificateFault('extension_critical');

  const read = <T>(oid: string, type: new () => T): T | undefined => {
    const extension = found.get(oid);
    if (extension === undefined) return undefined;
    const { buffer } = extension.extnValue;
    if (!isOneElement(new Uint8Array(buffer))) throw new CertificateFault('der');
    if (oid === OID.names && buffer.byteLength > MAX_NAMES_BYTES) throw new CertificateFault('size');
    return parse(buffer, type);
  };
  const constraints = read(OID.basicConstraints, BasicConstraints);
  const usage = read(OID.keyUsage, KeyUsage);
  const extended = read(OID.extendedKeyUsage, ExtendedKeyUsage);
  const names = read(OID.names, SubjectAlternativeName);
  return {
    isAuthority: constraints?.cA === true,
    ...(constraints?.pathLenConstraint !== undefined && { pathLength: constraints.pathLenConstraint }),
    ...(usage !== undefined && { keyUsage: usage.toNumber() }),
    keyUsageCritical: found.get(OID.keyUsage)?.critical === true,
    ...(extended !== undefined && { extendedKeyUsage: [...extended] }),
    uris:
      names === undefined
        ? []
        : [...names].flatMap(({ uniformResourceIdentifier: uri }) => (uri === undefined ? [] : [uri])),
  };
}

/** Whether the bytes are one DER element from end to end: a parser passes over what follows it. */
function isOneElement(der: Uint8Array): boolean {
  const [, first = 0x80] = der;
  if (first < 0x80) return der.length === 2 + first;
  const width = first & 0x7f;
  if (width === 0 || width > 2) return false;
  const length = der.subarray(2, 2 + width).reduce((sum, byte) => sum * 256 + byte, 0);
  return length >= 0x80 && der.length === 2 + width + length;
}
