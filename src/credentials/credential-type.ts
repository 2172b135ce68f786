// What a type of credential is: its settings in the configuration, its behaviour, and its sentence for people, together
// in one file of types/. types.ts lists them all. docs/extending.md shows how to add one.

import type { z } from 'zod';
import type { Clock } from '../domain/clock.ts';
import type { PemSource } from '../domain/pem.ts';
import type { DeepReadonly } from '../settings/deep-readonly.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import type { BrokerProvider } from './broker-provider.ts';
import type { JwtSigner } from './jwt-signer.ts';

type SettingsSchema = z.ZodType<{ readonly type: string }>;

/** What a schema of settings comes out as: `type Settings = SettingsOf<typeof settings>`. */
export type SettingsOf<Schema extends (context: ConfigContext) => SettingsSchema> = DeepReadonly<
  z.output<ReturnType<Schema>>
>;

/** What a provider is made with besides its settings. */
export interface CredentialTools {
  readonly clock: Clock;
  /** The gateway as an issuer. Present when `signing` is configured. */
  readonly signer?: JwtSigner;
  /** Fetches a JWT-SVID of the gateway itself from the Workload API at this address. */
  readonly fetchJwtSvid: (workloadApi: string, audience: readonly string[]) => Promise<string>;
  /** A fetch that trusts these authorities instead of the system's. */
  readonly fetchTrusting: (authorities: PemSource) => typeof globalThis.fetch;
}

/** What a credential that signs requests needs of the mount that it is for. Names are in lower case; `x-y-*` is a prefix. */
export interface RequestSigning {
  /** Fields of the agent that become part of what is signed, and so of what people approve. */
  readonly boundFields: readonly string[];
  /** Fields that the signature brings anew for each sending. No approval can bind them. */
  readonly ownFields: readonly string[];
  /** Whether the body must be known before its first byte leaves. */
  readonly signsBodies: boolean;
}

export interface CredentialType<
  Name extends string = string,
  Schema extends z.ZodType<{ readonly type: Name }> = z.ZodType<{ readonly type: Name }>,
> {
  /** The value of `type` in the configuration. */
  readonly name: Name;
  /** What the configuration may say: every key with its meaning, its unit and its default. */
  settings(context: ConfigContext): Schema;
  /**
   * Makes the provider. Touches no network and reads no secret yet. Throws `credential_unavailable` for a module that
   * cannot be used.
   */
  create(settings: DeepReadonly<z.output<Schema>>, tools: CredentialTools): BrokerProvider;
  /** Says to a reviewer how such a credential is made and when it ends. Continues the credential's name. */
  describe(settings: DeepReadonly<z.output<Schema>>): string;
  /** Where the settings ask the gateway to sign: each path needs `signing.issuer`. Absent: nowhere. */
  signedByGateway?(settings: DeepReadonly<z.output<Schema>>): readonly (readonly string[])[];
  /** The name under which the issuer knows the gateway, with the issuer. Absent where the secret alone tells. */
  clientOf?(settings: DeepReadonly<z.output<Schema>>): string;
  /** For a credential that signs requests instead of travelling on them. */
  requestSigning?(settings: DeepReadonly<z.output<Schema>>): RequestSigning;
}

/** Only for its types: the settings' shape is known from here on. */
export function credentialType<const Name extends string, Schema extends z.ZodType<{ readonly type: Name }>>(
  type: CredentialType<Name, Schema>,
): CredentialType<Name, Schema> {
  return type;
}

/** The sentence of most types: the credential belongs to one call, and is taken back where its issuer can. */
export const describeTakenBack = (type: string): string =>
  `by ${type}, made for this call and taken back when it is over, where its issuer can`;

/** The sentence for a credential that nothing takes back. */
export const describeExpiring = (type: string): string => `by ${type}, made for this call; it ends by itself`;
