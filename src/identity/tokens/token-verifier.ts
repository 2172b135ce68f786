// What identity.ts needs of one trusted issuer or trust domain.

import type { JsonObject } from '../../domain/json.ts';
import type { IssuerKind, Principal } from '../../domain/principal.ts';
import type { KeySet } from '../keys/key-set.ts';
import type { KeySource } from '../keys/key-source.ts';
import type { UnverifiedJws } from './unverified-jws.ts';

interface VerifiedPrincipal {
  readonly principal: Principal;
  /** The generation of keys that vouched for it. */
  readonly keySet: KeySet;
  /** How long it may be believed without being verified again, ms, where that is less than a minute. */
  readonly ttlMs?: number;
}

export interface TokenVerifier {
  /** The entry's name under `identity.issuers`. */
  readonly name: string;
  readonly type: IssuerKind;
  readonly keys: KeySource;
  /** Throws the `token_*` family and `issuer_unavailable`. */
  verify(jws: UnverifiedJws, claims: JsonObject): Promise<VerifiedPrincipal>;
}
