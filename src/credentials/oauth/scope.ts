// What a token request asks for, and whether the answer kept to it. The configuration gives the largest grant; a rule
// may only narrow it, and what the issuer grants may only be narrower still. Refuses members and characters that it
// does not know.

import type { JsonObject } from '../../domain/json.ts';
import { unavailable } from '../broker-provider.ts';

/**
 * A text holding one or more values between spaces, or a list of values. In a list each entry is one value: the safe
 * form for filled-in templates.
 */
type ScopeInput = string | readonly string[];

/** The largest grant; what is absent is left to the rule, or else to the issuer. */
export interface OAuthBounds {
  /** OAuth scope (RFC 6749 section 3.3). */
  readonly scope?: ScopeInput;
  /** RFC 8693 section 2.1, and what many issuers take for client credentials too. */
  readonly audience?: ScopeInput;
  /** Resource indicators (RFC 8707). */
  readonly resource?: ScopeInput;
}

/** What is asked for. Absent: the issuer's default. */
export interface OAuthRequest {
  readonly scope?: readonly string[];
  readonly audience?: readonly string[];
  readonly resource?: readonly string[];
}

const MEMBERS = ['scope', 'audience', 'resource'] as const;

/**
 * The bounds narrowed by the rule's `credential`. Throws `credential_unavailable` when the rule asks for more than the
 * bounds, or for something unknown.
 */
export function narrow(bounds: OAuthBounds, wanted: JsonObject): OAuthRequest {
  if (Object.keys(wanted).some((key) => !MEMBERS.includes(key as never))) {
    throw unavailable('The rule narrows the credential by a member other than scope, audience and resource.');
  }
  const asked: { scope?: readonly string[]; audience?: readonly string[]; resource?: readonly string[] } = {};
  for (const member of MEMBERS) {
    const most = bounds[member] === undefined ? undefined : valuesOf(bounds[member], member);
    const some = wanted[member] === undefined ? most : valuesOf(wanted[member], member);
    if (some === undefined) continue;
    if (most !== undefined && !isWithin(some, most))
      throw unavailable(`The rule asks for more ${member} than the credential is configured with.`);
    asked[member] = some;
  }
  return asked;
}

/** The granted scope as a list. An answer without one granted what was asked for (RFC 6749 section 5.1). */
export function grantedScope(asked: OAuthRequest, answer: string | undefined): readonly string[] {
  return answer === undefined ? (asked.scope ?? []) : answer.split(' ').filter((value) => value !== '');
}

/**
 * The scopes that the issuer gave although nobody asked for them and the configuration does not tolerate them. Where no
 * scope was asked for, there is nothing to compare.
 */
export function surplusScope(
  asked: OAuthRequest,
  granted: readonly string[],
  tolerated: readonly string[] = [],
): readonly string[] {
  const { scope } = asked;
  return scope === undefined
    ? []
    : [...new Set(granted)].filter((one) => !scope.includes(one) && !tolerated.includes(one));
}

const MOST_NAMED = 10;

/**
 * The scopes by their names, as far as those are names (RFC 6749 section 3.3): an answer's text says nothing else in an
 * error.
 */
export function nameScopes(scopes: readonly string[]): string {
  const names = scopes.filter((one) => /^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(one));
  const more = scopes.length - Math.min(names.length, MOST_NAMED);
  return [...names.slice(0, MOST_NAMED), ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

/** As form fields: scope in one field, audience and resource repeated (RFC 8693 section 2.1, RFC 8707 section 2). */
export function toParameters(asked: OAuthRequest): URLSearchParams {
  const parameters = new URLSearchParams();
  if (asked.scope !== undefined) parameters.set('scope', asked.scope.join(' '));
  for (const member of ['audience', 'resource'] as const)
    for (const value of asked[member] ?? []) parameters.append(member, value);
  return parameters;
}

function isWithin(some: readonly string[], most: readonly string[]): boolean {
  return some.every((value) => most.includes(value));
}

function valuesOf(value: unknown, member: string): readonly string[] {
  const list = typeof value === 'string' ? value.split(' ').filter((part) => part !== '') : value;
  // RFC 6749 section 3.3: printable ASCII without space, quote and backslash. A filled-in value cannot become two.
  const isGood =
    Array.isArray(list) &&
    list.length > 0 &&
    list.every((part) => typeof part === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(part));
  if (!isGood) throw unavailable(`The rule or the configuration gives ${member} in a form that cannot be asked for.`);
  return list;
}
