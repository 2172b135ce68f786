// The types of issuer: one file each in issuers/, and this list. The configuration's union, its checks and the verifiers
// come from it.

import { z } from 'zod';
import type { JsonObject } from '../domain/json.ts';
import type { IssuerKind } from '../domain/principal.ts';
import type { Fault } from '../settings/faults.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import type { IssuerParts, IssuerSettingsOf, IssuerType, TrustedIssuer } from './issuer-type.ts';
import { oidc } from './issuers/oidc.ts';
import { spiffe } from './issuers/spiffe.ts';

/** In the order in which editors offer them. */
const TYPES = [oidc, spiffe] as const;

type Schema = ReturnType<(typeof TYPES)[number]['settings']>;

/** An entry of `identity.issuers`. */
export const issuer = (context: ConfigContext) =>
  z.discriminatedUnion('type', TYPES.map(({ settings }) => settings(context)) as unknown as [Schema, ...Schema[]]);

export type IssuerSettings = IssuerSettingsOf<typeof issuer>;

const BY_NAME: ReadonlyMap<IssuerKind, IssuerType> = new Map(TYPES.map((type) => [type.name, type]));

function typeNamed(name: IssuerKind): IssuerType {
  const found = BY_NAME.get(name);
  if (found === undefined) throw new TypeError(`there is no issuer type ${name}`);
  return found;
}

export function createIssuer(settings: IssuerSettings, parts: IssuerParts): TrustedIssuer {
  return typeNamed(settings.type).create(settings, parts);
}

/** Says one thing for each entry, and for a token that claims to be that entry's. */
export function issuerKey(settings: IssuerSettings): string {
  return `${settings.type} ${typeNamed(settings.type).key(settings).value}`;
}

/** The keys of entries that a token's unverified claims may lead to, one for each type at most. Throws `token_claims`. */
export function claimedIssuerKeys(claims: JsonObject): readonly string[] {
  return TYPES.flatMap(({ name, keyOf }) => {
    const value = keyOf(claims);
    return value === undefined ? [] : [`${name} ${value}`];
  });
}

/** What cannot work among the entries. Paths begin at the list. */
export function* checkIssuers(all: readonly IssuerSettings[]): Generator<Fault> {
  const seen = new Set<string>();
  for (const [index, settings] of all.entries()) {
    const { key, check } = typeNamed(settings.type);
    const { setting, value } = key(settings);
    for (const [name, text] of [
      ['name', settings.name],
      [setting, value],
    ] as const) {
      if (seen.has(`${name} ${text}`))
        yield { path: [index, name], message: `Write another \`${name}\`: an issuer above has this one already.` };
      seen.add(`${name} ${text}`);
    }
    for (const { path, message } of check?.(settings, all) ?? []) yield { path: [index, ...path], message };
  }
}

/** Where agents get tokens of this entry, for RFC 9728. */
export function authorizationServer(settings: IssuerSettings): string | undefined {
  return typeNamed(settings.type).authorizationServer?.(settings);
}

/** For reviewers: what proved a caller of this kind. */
export function describeProof(kind: IssuerKind): string {
  return typeNamed(kind).proof;
}
