// What the gateway takes from one Workload API: the bundles of its own and of federated trust domains, its own
// X.509-SVID, and JWT-SVIDs. Trust domains are kept apart: each has its own bundle or none.

import { createPrivateKey, hash } from 'node:crypto';
import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Logger } from '../../domain/log.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { faultReason, KeyFault } from '../keys/key-fault.ts';
import { type KeySet, readKeySet } from '../keys/key-set.ts';
import { isTrustDomain } from '../spiffe-id.ts';
import { readDerAuthorities, splitDer } from '../x509/authorities.ts';
import { type Authorities, readSvidUnverified } from '../x509/svid.ts';
import { createWorkloadApiClient } from './client.ts';
import { FEED_TIMES, Feed, type FeedTimes } from './feed.ts';
import type { BundlesMessage, X509SvidMessage } from './messages.ts';

/** The gateway's own identity, fit for a TLS listener or client. */
export interface GatewaySvid {
  readonly spiffeId: string;
  /** PEM: the certificate and its intermediates. */
  readonly certificate: string;
  /** PEM. A secret: for the TLS context and nothing else. */
  readonly key: string;
  readonly expiresAt: EpochMs;
}

/** By trust domain; an entry that has not changed is the same object in the next generation. */
export type BundleState<T> = ReadonlyMap<string, { readonly digest: string; readonly bundle: T }>;

export interface WorkloadApi {
  readonly x509Bundles: Feed<BundleState<Authorities>>;
  readonly jwtBundles: Feed<BundleState<KeySet>>;
  readonly svid: Feed<GatewaySvid>;
  /** A fresh JWT-SVID of the gateway's own. Rejects with a ServiceError or KeyFault `no_svid`. */
  fetchJwtSvid(audience: readonly string[]): Promise<string>;
  close(): void;
}

export interface WorkloadApiParts {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Nothing is connected before a feed is started. Throws TypeError for an address of another form. */
export function createWorkloadApi(
  address: string,
  parts: WorkloadApiParts,
  times: Partial<FeedTimes> = {},
): WorkloadApi {
  const client = createWorkloadApiClient(address);
  const all = { ...FEED_TIMES, ...times };
  const refused = (feed: string) => (trustDomain: string, reason: string) =>
    parts.log.warn('identity.bundle.refused', { feed, trustDomain, reason });
  const x509Bundles = new Feed<BundleState<Authorities>>(
    {
      name: 'x509_bundles',
      times: all,
      open: () => client.stream('FetchX509Bundles'),
      read: (message, previous) => readBundles(message, previous, readDerAuthorities, refused('x509_bundles')),
    },
    parts,
  );
  const jwtBundles = new Feed<BundleState<KeySet>>(
    {
      name: 'jwt_bundles',
      times: all,
      open: () => client.stream('FetchJWTBundles'),
      read: (message, previous) => readBundles(message, previous, readJwtKeys, refused('jwt_bundles')),
    },
    parts,
  );
  const svid = new Feed<GatewaySvid>(
    { name: 'x509_svid', times: all, open: () => client.stream('FetchX509SVID'), read: readOwnSvid },
    parts,
  );
  return {
    x509Bundles,
    jwtBundles,
    svid,
    async fetchJwtSvid(audience) {
      const [first] = (await client.fetchJwtSvid(audience)).svids;
      if (first === undefined || first.svid === '') throw new KeyFault('no_svid');
      return first.svid;
    },
    close() {
      for (const feed of [x509Bundles, jwtBundles, svid]) feed.close();
      client.close();
    },
  };
}

const TRUST_DOMAIN_ID = /^spiffe:\/\/([^/]+)\/?$/;

const readJwtKeys = (bytes: Uint8Array): KeySet => readKeySet(parseStrictJson(bytes), 'workload-api');

/** A bundle that cannot be read costs its own trust domain, and no other. */
function readBundles<T>(
  message: unknown,
  previous: BundleState<T> | undefined,
  read: (bytes: Uint8Array) => T,
  refused: (trustDomain: string, reason: string) => void,
): BundleState<T> {
  const state = new Map<string, { readonly digest: string; readonly bundle: T }>();
  for (const [id, bytes] of Object.entries((message as BundlesMessage).bundles)) {
    const trustDomain = TRUST_DOMAIN_ID.exec(id)?.[1];
    if (trustDomain === undefined || !isTrustDomain(trustDomain)) continue;
    const digest = hash('sha256', bytes, 'base64');
    const known = previous?.get(trustDomain);
    try {
      state.set(trustDomain, { digest, bundle: known?.digest === digest ? known.bundle : read(bytes) });
    } catch (thrown) {
      refused(trustDomain, faultReason(thrown));
    }
  }
  return state;
}

/**
 * The first SVID is the default one (section 5.2). Throws KeyFault `no_svid`, `svid_id`, `svid_key`, or
 * CertificateFault.
 */
function readOwnSvid(message: unknown): GatewaySvid {
  const [first] = (message as X509SvidMessage).svids;
  if (first === undefined) throw new KeyFault('no_svid');
  const chain = splitDer(first.x509Svid);
  const { spiffeId, leaf } = readSvidUnverified(chain);
  if (spiffeId.id !== first.spiffeId) throw new KeyFault('svid_id');
  const key = createPrivateKey({ key: Buffer.from(first.x509SvidKey), format: 'der', type: 'pkcs8' });
  if (!leaf.x509.checkPrivateKey(key)) throw new KeyFault('svid_key');
  return {
    spiffeId: spiffeId.id,
    certificate: chain.map(pemOf).join(''),
    key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    expiresAt: leaf.notAfter,
  };
}

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
