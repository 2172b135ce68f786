// Certificates of a private authority, made by openssl in a folder of their own. Tests that need them skip, saying so,
// where openssl is absent.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PemSource } from '../../src/domain/pem.ts';
import type { CertificateFeed } from '../../src/listeners/tls.ts';

export interface Certificates {
  /** PEM of the authority. */
  readonly ca: string;
  /** A leaf for these names (`DNS:…`, `IP:…`), signed by the authority. Days may be negative: it has expired then. */
  issue(names: readonly string[], days?: number): { readonly cert: string; readonly key: string };
  remove(): void;
}

export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function createCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-ca-'));
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=Test authority',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
  );
  let serial = 0;
  return {
    ca: read('ca.pem'),
    issue(names, days = 1) {
      const name = `leaf${++serial}`;
      writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names.join(',')}\nbasicConstraints=CA:FALSE\n`);
      openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
      const until = ['-days', String(days), '-set_serial', String(serial), '-extfile', `${name}.ext`];
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-out',
        `${name}.pem`,
        ...until,
      );
      return { cert: read(`${name}.pem`), key: read(`${name}.key`) };
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A text as the configuration gives it. */
export const pemOf = (text: string): PemSource => ({ origin: 'test', read: () => text });

/** A listener's certificate that stays as it is. */
export const feedOf = (certificate: string, key: string): CertificateFeed => ({
  current: () => ({ certificate, key }),
  onChange: () => () => {},
});
