// Credential type `spiffe-jwt`: the gateway's own JWT-SVID from the Workload API, for upstreams that verify it against the
// trust domain's bundle. Says who the gateway is, not for whom it acts. Cannot be taken back: it lives as long as the
// SPIFFE authority decided. Trusts the agent behind the Workload API. Refuses rules that ask for another audience, and
// SVIDs for more audiences than asked for.

import { decodeJwt } from 'jose';
import { z } from 'zod';
import type { EpochMs } from '../../domain/clock.ts';
import { workloadApiAddress } from '../../settings/addresses.ts';
import { UnwantedGrant, unavailable } from '../broker-provider.ts';
import { credentialType, describeExpiring } from '../credential-type.ts';
import { narrow } from '../oauth/scope.ts';
import { tokenAudience, tokenField, tokenInjection } from '../settings.ts';

const settings = () =>
  z.strictObject({
    type: z.literal('spiffe-jwt'),
    workloadApi: workloadApiAddress().describe('Workload API of this host’s agent: unix:///path or tcp://ip:port'),
    audience: tokenAudience(),
    header: tokenField(),
  });

export const spiffeJwt = credentialType({
  name: 'spiffe-jwt',
  settings,
  create({ type, workloadApi, audience, header }, { fetchJwtSvid }) {
    async function fetchOrRefuse(asked: readonly string[]): Promise<string> {
      try {
        return await fetchJwtSvid(workloadApi, asked);
      } catch (cause) {
        throw unavailable('The Workload API gave no JWT-SVID.', cause);
      }
    }

    return {
      type,
      shareable: true,
      async mint(grant) {
        const { audience: asked = [], ...others } = narrow({ audience }, grant.plan.scope);
        if (Object.keys(others).length > 0) throw unavailable('A JWT-SVID is narrowed by audience alone.');
        const text = await fetchOrRefuse(asked);
        const svid = readSvidUnverified(text);
        if (svid.expiresAt <= grant.now) throw unavailable('The Workload API gave a JWT-SVID that has expired.');
        if (!svid.audience.every((value) => asked.includes(value))) {
          const detail = 'The Workload API gave a JWT-SVID for audiences that were not asked for.';
          throw new UnwantedGrant('credential_too_broad', detail, {});
        }
        return {
          ...tokenInjection(header, text),
          expiresAt: svid.expiresAt,
          revocability: 'none',
          granted: { audience: svid.audience, spiffeId: svid.subject },
        };
      },
    };
  },
  clientOf: ({ workloadApi }) => workloadApi,
  describe: ({ type }) => describeExpiring(type),
});

interface UnverifiedJwtSvid {
  readonly audience: readonly string[];
  readonly subject: string;
  readonly expiresAt: EpochMs;
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
