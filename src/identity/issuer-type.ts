// What a type of issuer is: its settings under `identity.issuers`, how its tokens are verified, and its words for
// people, together in one file of issuers/. issuers.ts lists them all. docs/extending.md shows how to add one.

import type { z } from 'zod';
import type { Clock } from '../domain/clock.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import type { IssuerKind } from '../domain/principal.ts';
import type { DeepReadonly } from '../settings/deep-readonly.ts';
import type { Fault } from '../settings/faults.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import type { BundleSources } from './bundles/bundle-sources.ts';
import type { FetchDocument } from './keys/issuer-http.ts';
import type { RefreshTimes } from './keys/polled.ts';
import type { Introspection } from './tokens/introspection.ts';
import type { TokenVerifier } from './tokens/token-verifier.ts';
import type { TrustedDomain } from './x509/x509-svids.ts';

/** What the settings of every type have. */
export interface CommonSettings<Name extends IssuerKind = IssuerKind> {
  readonly type: Name;
  /** Names the entry in rules, logs, metrics and /readyz. */
  readonly name: string;
  /** Accepted `aud` values, instead of `identity.audience`. */
  readonly audience?: readonly string[];
  /** Whether only tokens are taken that are bound to a key (RFC 9449, RFC 8705). */
  readonly requireProof: boolean;
}

/** What a schema of settings comes out as: `type Settings = IssuerSettingsOf<typeof settings>`. */
export type IssuerSettingsOf<Schema extends (context: ConfigContext) => z.ZodType<CommonSettings>> = DeepReadonly<
  z.output<ReturnType<Schema>>
>;

/** What an issuer is made with besides its settings. */
export interface IssuerParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: FetchDocument;
  /** `identity.audience`. */
  readonly audience: readonly string[];
  readonly refresh: RefreshTimes;
  readonly bundles: BundleSources;
}

/** One entry, ready to verify. Nothing is fetched before its keys are started. */
export interface TrustedIssuer {
  readonly verifier: TokenVerifier;
  /** For a type that vouches for X.509-SVIDs, too. */
  readonly domain?: TrustedDomain;
  /** For an entry that takes opaque tokens. */
  readonly introspection?: Introspection;
}

export interface IssuerType<
  Name extends IssuerKind = IssuerKind,
  Schema extends z.ZodType<CommonSettings<Name>> = z.ZodType<CommonSettings<Name>>,
> {
  /** The value of `type` in the configuration. */
  readonly name: Name;
  /** For reviewers, after "Proved by": `a token`. */
  readonly proof: string;
  /** What the configuration may say: every key with its meaning, its unit and its default. */
  settings(context: ConfigContext): Schema;
  /** The setting that tells this type's entries apart, and its value. A token is led to its entry by it. */
  key(settings: DeepReadonly<z.output<Schema>>): { readonly setting: string; readonly value: string };
  /**
   * The value by which a token's entry is found, from claims that nobody has verified: a wrong claim only leads to keys
   * that did not sign the token. Undefined for a token of another type. Throws `token_claims`.
   */
  keyOf(claims: JsonObject): string | undefined;
  create(settings: DeepReadonly<z.output<Schema>>, parts: IssuerParts): TrustedIssuer;
  /** The authorization server that agents get such tokens from (RFC 9728), where there is one. */
  authorizationServer?(settings: DeepReadonly<z.output<Schema>>): string;
  /** What cannot work beside the other entries. Paths begin at this entry. */
  check?(settings: DeepReadonly<z.output<Schema>>, all: readonly CommonSettings[]): readonly Fault[];
}

/** Only for its types: the settings' shape is known from here on. */
export function issuerType<Name extends IssuerKind, Schema extends z.ZodType<CommonSettings<Name>>>(
  type: IssuerType<Name, Schema>,
): IssuerType<Name, Schema> {
  return type;
}
