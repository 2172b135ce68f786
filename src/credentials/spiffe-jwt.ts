// Provider `spiffe-jwt`: the gateway's own JWT-SVID from the Workload API, for upstreams that verify it against the
// trust domain's bundle. Says who the gateway is, not for whom it acts. Cannot be taken back: it lives as long as the
// SPIFFE authority decided. Trusts the agent behind the Workload API. Refuses rules that ask for another audience, and
// SVIDs for more audiences than asked for.

import { decodeJwt } from 'jose';
import type { EpochMs } from '../domain/clock.ts';
import { Secret } from '../domain/secret.ts';
import { type BrokerProvider, UnwantedGrant, unavailable } from './broker-provider.ts';
import { narrow } from './oauth-scope.ts';

export interface SpiffeJwtOptions {
  /** Asks the Workload API, within bounded time; rejects when there is none to be had. */
  readonly fetchSvid: (audience: readonly string[]) => Promise<string>;
  /** Whom it is for (`aud`); several between spaces, among which a rule may choose. */
  readonly audience: string;
  /** Default `authorization`, with the scheme Bearer; other fields hold the bare token. */
  readonly header?: string;
}

interface UnverifiedJwtSvid {
  readonly audience: readonly string[];
  readonly subject: string;
  readonly expiresAt: EpochMs;
}

/**
 * `mint` throws `credential_unavailable` when there is no usable SVID, `credential_too_broad` for one with further
 * audiences.
 */
export function createSpiffeJwtProvider({
  fetchSvid,
  audience,
  header = 'authorization',
}: SpiffeJwtOptions): BrokerProvider {
  return {
    type: 'spiffe-jwt',
    shareable: true,
    async mint(grant) {
      const { audience: asked = [], ...others } = narrow({ audience }, grant.plan.scope);
      if (Object.keys(others).length > 0) throw unavailable('A JWT-SVID is narrowed by audience alone.');
      const text = await fetchOrRefuse(fetchSvid, asked);
      const svid = readSvidUnverified(text);
      if (svid.expiresAt <= grant.now) throw unavailable('The Workload API gave a JWT-SVID that has expired.');
      if (!svid.audience.every((value) => asked.includes(value))) {
        throw new UnwantedGrant(
          'credential_too_broad',
          'The Workload API gave a JWT-SVID for audiences that were not asked for.',
          {},
        );
      }
      return {
        injection: {
          in: 'header',
          name: header,
          value: new Secret(header === 'authorization' ? `Bearer ${text}` : text),
        },
        secrets: [new Secret(text)],
        expiresAt: svid.expiresAt,
        revocability: 'none',
        granted: { audience: svid.audience, spiffeId: svid.subject },
      };
    },
  };
}

async function fetchOrRefuse(fetchSvid: SpiffeJwtOptions['fetchSvid'], audience: readonly string[]): Promise<string> {
  try {
    return await fetchSvid(audience);
  } catch (cause) {
    throw unavailable('The Workload API gave no JWT-SVID.', cause);
  }
}

/**
 * The claims that JWT-SVID section 3 requires, without verification: it is the upstream that verifies, the gateway only
 * plans its use by them.
 */
function readSvidUnverified(text: string): UnverifiedJwtSvid {
  // Nothing but a compact JWS may end up on a header line.
  const claims = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? decodeOrNothing(text) : {};
  const { sub, aud, exp } = claims;
  const audience = (Array.isArray(aud) ? aud : [aud]).filter((value) => typeof value === 'string');
  if (typeof sub !== 'string' || !sub.startsWith('spiffe://') || audience.length === 0 || !Number.isFinite(exp)) {
    throw unavailable('The Workload API gave something that is not a JWT-SVID.');
  }
  return { audience, subject: sub, expiresAt: Number(exp) * 1000 };
}

function decodeOrNothing(text: string): { readonly sub?: unknown; readonly aud?: unknown; readonly exp?: unknown } {
  try {
    return decodeJwt(text);
  } catch {
    return {};
  }
}
