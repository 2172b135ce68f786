// Provider `signed-jwt`: the gateway vouches for the call itself, by a short JWT that the upstream verifies against the
// gateway's published keys. Says who acts, for whom, and under which approval. Cannot be taken back: it lives at most
// five minutes. Refuses rules that ask for an audience or scope beyond the configured ones.

import { Secret } from '../domain/secret.ts';
import { type BrokerProvider, unavailable } from './broker-provider.ts';
import { delegation, type JwtSigner, LONGEST_JWT_MS } from './jwt-signer.ts';
import { narrow } from './oauth-scope.ts';

export interface SignedJwtOptions {
  readonly signer: JwtSigner;
  /** Whom it is for (`aud`); several between spaces, among which a rule may choose. */
  readonly audience: string;
  /** The largest `scope` claim (RFC 8693 section 4.2); default: none. */
  readonly scope?: string;
  /** From a minute to five; default two minutes. */
  readonly lifetimeMs?: number;
  /** Default `authorization`, with the scheme Bearer; other fields hold the bare token. */
  readonly header?: string;
}

const DEFAULT_LIFETIME_MS = 120_000;

/** Throws TypeError for a lifetime that cannot be had. */
export function createSignedJwtProvider(options: SignedJwtOptions): BrokerProvider {
  const { signer, audience, scope, lifetimeMs = DEFAULT_LIFETIME_MS, header = 'authorization' } = options;
  if (lifetimeMs > LONGEST_JWT_MS) throw new TypeError('a signed JWT lives at most five minutes');
  const bounds = { audience, ...(scope !== undefined && { scope }) };
  return {
    type: 'signed-jwt',
    shareable: true,
    async mint(grant) {
      const asked = narrow(bounds, grant.plan.scope);
      if (asked.resource !== undefined || (asked.scope !== undefined && scope === undefined)) {
        throw unavailable('The rule narrows the signed JWT by something that is not configured for it.');
      }
      const audiences = asked.audience ?? [];
      const granted = { audience: audiences, ...(asked.scope && { scope: asked.scope.join(' ') }) };
      const aud = audiences.length === 1 ? (audiences[0] as string) : audiences;
      const { text, id, expiresAt } = await signer.sign(
        { ...delegation(grant), aud, ...(asked.scope && { scope: asked.scope.join(' ') }) },
        lifetimeMs,
      );
      return {
        injection: {
          in: 'header',
          name: header,
          value: new Secret(header === 'authorization' ? `Bearer ${text}` : text),
        },
        secrets: [new Secret(text)],
        expiresAt,
        revocability: 'none',
        granted: { ...granted, jti: id },
      };
    },
  };
}
