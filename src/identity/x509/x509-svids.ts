// Agents that come with an X.509-SVID over mTLS: connection in, Principal out. The handshake has proven the key; this
// proves the certificate. Trusts one trust domain's own authorities, for SPIFFE IDs of that trust domain only. A
// connection is judged once per generation of authorities and again at each call by the clock: keep-alive outlives
// rotation and expiry.

import type { Clock, EpochMs } from '../../domain/clock.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Peer } from '../../domain/request.ts';
import { GatewayError } from '../../errors.ts';
import type { TrustBundleSource } from '../bundles/trust-bundle.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import { CertificateFault, certificateRefusal } from './certificate-fault.ts';
import { type Authorities, readSvidUnverified, type UnverifiedX509Svid, verifySvid } from './svid.ts';

export interface TrustedDomain {
  /** The entry's name under `identity.issuers`. */
  readonly name: string;
  readonly bundle: TrustBundleSource;
  /** Which agent an id of this trust domain is. */
  agentKeyOf(id: SpiffeId): string;
}

export interface SvidVerifier {
  /** The principal of a connection that was judged before, if that still holds now. */
  known(peer: Peer): Principal | undefined;
  /** Throws the `certificate_*` family and `issuer_unavailable`. */
  verify(peer: Peer): Promise<Principal>;
}

interface Judged {
  readonly principal: Principal;
  readonly domain: TrustedDomain;
  readonly authorities: Authorities;
}

interface Refused {
  readonly fault: CertificateFault;
  readonly at: EpochMs;
}

/**
 * A connection that was refused is not looked at again for so long: walking chains is work that a stranger could ask
 * for at every request.
 */
const REFUSED_MS = 1_000;

const RETRY_AFTER_SECONDS = 5;

export function createSvidVerifier(
  domainOf: (trustDomain: string) => TrustedDomain | undefined,
  clock: Clock,
): SvidVerifier {
  const judged = new WeakMap<Peer, Judged>();
  const refused = new WeakMap<Peer, Refused>();

  function known(peer: Peer): Principal | undefined {
    const judgement = judged.get(peer);
    if (judgement === undefined) return undefined;
    const { principal, domain, authorities } = judgement;
    return domain.bundle.authorities() === authorities && clock.now() < principal.expiresAt ? principal : undefined;
  }

  async function verify(peer: Peer): Promise<Principal> {
    const earlier = refused.get(peer);
    if (earlier !== undefined && clock.now() < earlier.at + REFUSED_MS) throw certificateRefusal(earlier.fault);
    try {
      const svid = readSvidUnverified(peer.certificates ?? []);
      const domain = domainOf(svid.spiffeId.trustDomain);
      if (domain === undefined) throw new CertificateFault('trust_domain');
      const authorities = await authoritiesOf(domain.bundle);
      const principal = principalOf(svid, domain, verifySvid(svid, authorities, clock.now()));
      judged.set(peer, { principal, domain, authorities });
      return principal;
    } catch (thrown) {
      if (!(thrown instanceof CertificateFault)) throw thrown;
      refused.set(peer, { fault: thrown, at: clock.now() });
      throw certificateRefusal(thrown);
    }
  }

  return { known, verify };
}

async function authoritiesOf(bundle: TrustBundleSource): Promise<Authorities> {
  if (bundle.authorities() === undefined) await bundle.renew();
  const authorities = bundle.authorities();
  if (authorities !== undefined) return authorities;
  const detail = 'The authorities of the certificate’s trust domain cannot be had at the moment.';
  throw new GatewayError('issuer_unavailable', detail, {
    retryAfter: RETRY_AFTER_SECONDS,
    members: { check: 'authorities' },
  });
}

function principalOf(
  { spiffeId }: UnverifiedX509Svid,
  { name, agentKeyOf }: TrustedDomain,
  expiresAt: EpochMs,
): Principal {
  const { id, trustDomain } = spiffeId;
  const issuer = `spiffe://${trustDomain}`;
  return {
    id,
    issuer,
    subject: id,
    kind: 'spiffe',
    agentKey: agentKeyOf(spiffeId),
    issuerName: name,
    trustDomain,
    proof: 'x509-svid',
    claims: {},
    onBehalfOf: [],
    expiresAt,
  };
}
