// Agent keys: which ids of one issuer are one agent (`agentKey` of its entry). Trusts the issuer for ids and claims.
// Refuses patterns that name nothing, and tokens that lack the claim: an agent must not choose whether it is counted.
//
// No key of one kind can be an id or a key of another. A SPIFFE key begins with its trust domain, and its `*` stands in no
// SPIFFE ID. A key of a claim has no `#`, which every id of an OIDC issuer has.

import { z } from 'zod';
import { claimAt } from '../domain/claim.ts';
import type { JsonObject } from '../domain/json.ts';
import { isName } from '../domain/name.ts';
import { refusal } from './refusal.ts';
import type { SpiffeId } from './spiffe-id.ts';

const LONGEST_PATTERN = 200;
const LONGEST_VALUE = 1024;
const SEGMENT = /^(\*|:[A-Za-z_]\w*|(?!\.{1,2}$)[A-Za-z0-9._-]+)$/;

/** `agentKey` of a trust domain. */
export const pathKey = () =>
  z
    .strictObject({
      path: z
        .string()
        .max(LONGEST_PATTERN)
        .refine((pattern) => segmentsOf(pattern).every((segment) => SEGMENT.test(segment)) && pattern.startsWith('/'), {
          error: 'Write segments of SPIFFE IDs, `:name` or `*`, each after a slash, like /ns/:ns/sa/:sa/*.',
        })
        .refine((pattern) => segmentsOf(pattern).some((segment) => segment.startsWith(':')), {
          error:
            'Name at least one segment, like /ns/:ns/sa/:sa/*: ids that agree in the named segments are one agent.',
        })
        .describe('Pattern of SPIFFE paths; `:name` is a segment that tells agents apart, `*` one that does not'),
    })
    .exactOptional()
    .describe('Which SPIFFE IDs are one agent: those that agree in the named segments. Default: each id is an agent');

/** `agentKey` of an OIDC issuer. */
export const claimKey = () =>
  z
    .strictObject({
      claim: z
        .string()
        .min(1)
        .max(LONGEST_PATTERN)
        .describe('Claim, by name or path, that tells agents apart; tokens without it are refused'),
    })
    .exactOptional()
    .describe('Which subjects are one agent: those whose tokens have the same value in a claim. Default: each subject');

const segmentsOf = (pattern: string): readonly string[] => pattern.slice(1).split('/');

/** A `*` at the end stands for any number of segments, none included; an id that does not match is its own key. */
export function spiffeKeys(
  settings: { readonly path: string } | undefined,
): (id: Pick<SpiffeId, 'id' | 'trustDomain' | 'path'>) => string {
  if (settings === undefined) return ({ id }) => id;
  const pattern = segmentsOf(settings.path);
  const isOpen = pattern.at(-1) === '*';
  const fixed = isOpen ? pattern.slice(0, -1) : pattern;
  return ({ id, trustDomain, path }) => {
    const segments = segmentsOf(path);
    const fits = isOpen ? segments.length >= fixed.length : segments.length === fixed.length;
    if (!fits || !fixed.every((each, at) => isWild(each) || each === segments[at])) return id;
    const named = pattern.map((each, at) => (each.startsWith(':') ? segments[at] : each));
    return `spiffe://${trustDomain}/${named.join('/')}`;
  };
}

const isWild = (segment: string): boolean => segment === '*' || segment.startsWith(':');

/** Claims with the client that got the token. RFC 8693 section 4.3: of an exchanged token, that is the actor. */
const CLIENT_CLAIMS = ['client_id', 'azp', 'cid', 'appid'];

/**
 * `<issuer>?<claim>=<value>`, percent-encoded. Read from the object that names the agent; a client's claim also from the
 * token around it. Undefined where neither has it.
 */
export function keyOfClaim(
  issuer: string,
  { claim }: { readonly claim: string },
  { named, token }: { readonly named: JsonObject; readonly token: JsonObject },
): string | undefined {
  const value = claimAt(named, claim) ?? (CLIENT_CLAIMS.includes(claim) ? claimAt(token, claim) : undefined);
  if (typeof value !== 'string' || value.length > LONGEST_VALUE || !isName(value)) return undefined;
  return `${issuer}?${encodeURIComponent(claim)}=${encodeURIComponent(value)}`;
}

/** Throws `token_claims`. */
export function requireKeyOfClaim(...[issuer, settings, from]: Parameters<typeof keyOfClaim>): string {
  const key = keyOfClaim(issuer, settings, from);
  if (key !== undefined) return key;
  throw refusal('token_claims', 'agent_key', `The token does not say which agent it is: ${settings.claim} is missing.`);
}
