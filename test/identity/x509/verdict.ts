// Two authorities, two extensions, and what the gateway says of a chain: the SPIFFE ID, or the check that failed.

import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { parseCertificate } from '../../../src/identity/x509/certificate.ts';
import { CertificateFault } from '../../../src/identity/x509/certificate-fault.ts';
import { readSvidUnverified, verifySvid } from '../../../src/identity/x509/svid.ts';
import { createAuthority, type Issued } from '../../support/spiffe-authority.ts';

export const root = await createAuthority('prod.test');
export const other = await createAuthority('stage.test');

export const HOUR_MS = 3_600_000;
export const now = Date.now();

export function verdict(
  chain: readonly (Issued | Uint8Array)[],
  authorities: readonly Issued[] = [root],
  at = now,
): string {
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

/** An extension that nothing here knows. */
export const unknownExtension = (critical: boolean) =>
  new x509.Extension('1.3.6.1.4.1.99999.1', critical, new Uint8Array([5, 0]));

/** permittedSubtrees: one URI name, `prod.test`. */
export const nameConstraints = new x509.Extension(
  '2.5.29.30',
  true,
  Buffer.from(`300fa00d300b8609${Buffer.from('prod.test').toString('hex')}`, 'hex'),
);
