// A listener's certificate from files that are replaced while the listener runs, as certbot, cert-manager and
// Kubernetes do it. Looks every two seconds. A new certificate without its key yet is not used: the old pair stays
// until both fit together.

import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Config } from '../config/schema.ts';
import type { EpochMs } from '../domain/clock.ts';
import type { Logger } from '../domain/log.ts';
import type { PemSource } from '../domain/pem.ts';
import type { SecretSource } from '../domain/secret.ts';
import type { CertificateFeed } from '../listeners/tls.ts';

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

const POLL_MS = 2_000;

/**
 * `name` names the listener in the log. Throws when the files cannot be read or node:tls refuses them: at start there
 * is no older pair.
 */
export function followCertificateFiles(
  files: { readonly certificate: PemSource; readonly key: SecretSource },
  name: string,
  log: Logger,
): CertificateFeed {
  const read = (): Pair => ({ certificate: files.certificate.read(), key: files.key.read().reveal() });
  const listeners = new Set<() => void>();
  let pair = read();
  createSecureContext({ cert: pair.certificate, key: pair.key });
  let refused: Pair | undefined;

  function look(): void {
    const next = attempt(read);
    if (next === undefined || isSame(next, pair)) return;
    if (attempt(() => createSecureContext({ cert: next.certificate, key: next.key })) === undefined) {
      // Logged once for each text. Between two steps of a renewal this is normal.
      if (refused === undefined || !isSame(next, refused)) log.warn('tls.certificate.refused', { listener: name });
      refused = next;
      return;
    }
    pair = next;
    log.info('tls.certificate.changed', {
      listener: name,
      expires: new Date(expiryOf(pair.certificate) ?? 0).toISOString(),
    });
    for (const listener of listeners) listener();
  }

  let poll: NodeJS.Timeout | undefined;
  return {
    current: () => pair,
    // Looks for as long as somebody listens.
    onChange(callback) {
      listeners.add(callback);
      poll ??= setInterval(look, POLL_MS).unref();
      return () => {
        listeners.delete(callback);
        if (listeners.size > 0) return;
        clearInterval(poll);
        poll = undefined;
      };
    },
  };
}

export interface CertificateExpiry {
  /** Where it stands in the configuration, like `listeners.agents.tls`. */
  readonly name: string;
  readonly expiresAt: EpochMs;
}

/**
 * When the certificates of the files that the configuration names end: listeners', and the authorities that are trusted
 * for upstreams and issuers.
 */
export function certificateExpiries({
  listeners,
  upstreams,
  credentials,
  identity,
}: Config): readonly CertificateExpiry[] {
  const files: [string, PemSource | undefined][] = [
    ...(['agents', 'reviewers'] as const).map((plane): [string, PemSource | undefined] => {
      const { tls } = listeners[plane];
      return [`listeners.${plane}.tls`, tls !== undefined && 'certificate' in tls ? tls.certificate : undefined];
    }),
    ...Object.entries(upstreams).map(([name, entry]): [string, PemSource | undefined] => [
      `upstreams.${name}.tls.ca`,
      'tls' in entry ? entry.tls?.ca : undefined,
    ]),
    ...Object.entries(credentials).map(([name, entry]): [string, PemSource | undefined] => [
      `credentials.${name}.ca`,
      'ca' in entry ? entry.ca : undefined,
    ]),
    ...identity.issuers.map((issuer): [string, PemSource | undefined] => [
      `identity.issuers.${issuer.name}.tokenReview.ca`,
      'tokenReview' in issuer ? issuer.tokenReview?.ca : undefined,
    ]),
  ];
  return files.flatMap(([name, source]) => {
    const expiresAt = source && expiryOf(source.read());
    return expiresAt === undefined ? [] : [{ name, expiresAt }];
  });
}

/** When the first of the certificates in a PEM text ends; undefined when none can be read. */
function expiryOf(pem: string): EpochMs | undefined {
  const ends = (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).flatMap(
    (text) => attempt(() => new X509Certificate(text).validToDate.getTime()) ?? [],
  );
  return ends.length === 0 ? undefined : Math.min(...ends);
}

const isSame = (a: Pair, b: Pair): boolean => a.certificate === b.certificate && a.key === b.key;

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
