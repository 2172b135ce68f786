// Identities for tests, made as the gateway makes them: from entries as they are written in the configuration file.

import type { Identity } from '../../src/domain/identity.ts';
import type { IssuerKind } from '../../src/domain/principal.ts';
import { createIdentity, type IdentityOptions, type IdentityParts } from '../../src/identity/identity.ts';
import { issuer } from '../../src/identity/issuers.ts';
import { written } from './written.ts';

/** `{ name, type, … }` with the keys of the configuration file. A secret may be given as a source. */
export interface WrittenIssuer {
  readonly name: string;
  readonly type: IssuerKind;
  readonly [key: string]: unknown;
}

/** Throws what the settings' schema or the check of all entries says against them. */
export function identityOf(
  { issuers, ...options }: Omit<IdentityOptions, 'issuers'> & { readonly issuers: readonly WrittenIssuer[] },
  parts: IdentityParts,
): Identity {
  const read = issuers.map((entry) => {
    const { value, context } = written(entry);
    return issuer(context).parse(value);
  });
  return createIdentity({ ...options, issuers: read }, parts);
}
