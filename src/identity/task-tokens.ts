// Task tokens: who vouches for a task, for whom, and within which bounds. Trusts the keys of the issuers under
// `identity.taskIssuers`. Refuses every other kind of token by `typ`, tokens for another audience, without an end or without
// a transaction, and bounds that it cannot read. Whether the token is the caller's is decided in tasks/.

import { z } from 'zod';
import type { Clock, EpochMs } from '../domain/clock.ts';
import { type HeaderList, header } from '../domain/headers.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import type { Logger } from '../domain/log.ts';
import { isName } from '../domain/name.ts';
import type { Party } from '../domain/principal.ts';
import type { TaskBounds, TaskToken } from '../domain/task-token.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { secureUrl } from '../settings/addresses.ts';
import type { DeepReadonly } from '../settings/deep-readonly.ts';
import type { FetchDocument } from './keys/issuer-http.ts';
import type { KeySource } from './keys/key-source.ts';
import { createOidcKeys } from './keys/oidc-keys.ts';
import type { RefreshTimes } from './keys/polled.ts';
import { failedCheck, refusal } from './refusal.ts';
import { algorithms, audience, issuerName, maxLifetime } from './settings.ts';
import { party } from './tokens/actors.ts';
import { type ClaimRules, checkCommonClaims, claimRules, requireText } from './tokens/claims.ts';
import { proveSignature } from './tokens/signature.ts';
import { parseJwsUnverified, readClaimsUnverified } from './tokens/unverified-jws.ts';

/** An entry of `identity.taskIssuers`. */
export const taskIssuer = () =>
  z
    .strictObject({
      name: issuerName('Names the issuer in logs and /readyz'),
      issuer: secureUrl().describe('Issuer identifier, exactly as in `iss`; its discovery document must name the same'),
      jwksUri: secureUrl().exactOptional().describe('Where its keys are, for an issuer without discovery'),
      algorithms: algorithms(),
      audience: audience().exactOptional().describe('Accepted `aud` values; default: identity.audience'),
      maxLifetime: maxLifetime('24h'),
    })
    .transform(({ maxLifetime: maxLifetimeMs, ...rest }) => ({ ...rest, maxLifetimeMs }));

export type TaskIssuerSettings = DeepReadonly<z.output<ReturnType<typeof taskIssuer>>>;

/** The draft's own field, and the one that says for whom the token is. */
const FIELDS = ['countersign-task-token', 'txn-token'] as const;
const TYPES = ['txntoken+jwt', 'application/txntoken+jwt'];

export interface TaskTokensParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: FetchDocument;
  readonly refresh: RefreshTimes;
  readonly audience: readonly string[];
  /** The one issuer of agents' names; undefined where there are several. A bare name in a token is a name there. */
  readonly agentsIssuer: string | undefined;
}

export interface TaskTokens {
  /** Undefined when the fields carry none. Rejects with `task_token_invalid`, `issuer_unavailable`. */
  take(headers: HeaderList): Promise<TaskToken> | undefined;
  readonly sources: readonly { readonly name: string; readonly keys: KeySource }[];
}

export function createTaskTokens(issuers: readonly TaskIssuerSettings[], parts: TaskTokensParts): TaskTokens {
  const trusted = new Map(
    issuers.map((own) => [
      own.issuer,
      { own, keys: createOidcKeys(own, parts.refresh, parts), rules: claimRules(own, parts.audience) },
    ]),
  );

  async function verify(values: readonly string[]): Promise<TaskToken> {
    try {
      const [text = '', ...others] = values;
      if (others.some((other) => other !== text))
        throw refusal('token_malformed', 'several', 'The call carries more than one task token.');
      const jws = parseJwsUnverified(text);
      const claims = readClaimsUnverified(jws);
      const found = typeof claims.iss === 'string' ? trusted.get(claims.iss) : undefined;
      if (found === undefined)
        throw refusal('token_untrusted', 'iss', 'The token’s issuer is not one under identity.taskIssuers.');
      await proveSignature(jws, found.keys, found.own.algorithms);
      if (!TYPES.includes(jws.header.typ?.toLowerCase() ?? ''))
        throw refusal('token_claims', 'typ', 'The token is not a transaction token (typ).');
      return read(claims, found.own.issuer, found.rules);
    } catch (thrown) {
      const error = asGatewayError(thrown);
      parts.log.warn('identity.task_token_refused', { check: failedCheck(error), code: error.code });
      if (error.code === 'issuer_unavailable' || error.code === 'internal') throw error;
      throw new GatewayError('task_token_invalid', error.detail, { members: { check: failedCheck(error) ?? 'form' } });
    }
  }

  function read(claims: JsonObject, issuer: string, rules: ClaimRules): TaskToken {
    const expiresAt = checkCommonClaims(claims, rules, parts.clock.now());
    const txn = requireText(claims, 'txn');
    if (txn.length > 256 || !isName(txn))
      throw refusal('token_claims', 'txn', 'The token’s txn is not fit to be a name.');
    const tctx = claims.tctx === undefined ? {} : claims.tctx;
    if (!isJsonObject(tctx)) throw refusal('token_claims', 'tctx', 'The token’s tctx is not an object.');
    const thumbprint = thumbprintOf(claims.cnf);
    const holders = holdersOf(claims, parts.agentsIssuer ?? issuer);
    if (holders.length === 0 && thumbprint === undefined)
      throw refusal('token_claims', 'holder', 'The token names nobody who may use it (req_wl, act or cnf).');
    return {
      ...{ issuer, txn, expiresAt, holders },
      ...(thumbprint !== undefined && { thumbprint }),
      ...(typeof tctx.objective === 'string' && tctx.objective !== '' && { objective: tctx.objective.slice(0, 4_000) }),
      actsFor: [claims.sub, tctx.owner].flatMap((name) => partyNamed(name, issuer)),
      bounds: boundsOf(tctx),
    };
  }

  return {
    take(headers) {
      const [own, draft] = FIELDS;
      const token = header(headers, own);
      // Where nobody is trusted with tasks, the draft's field is meant for somebody else.
      const other = trusted.size > 0 ? header(headers, draft) : undefined;
      if (token === undefined) return other === undefined ? undefined : verify([other]);
      return verify(other === undefined ? [token] : [token, other]);
    },
    sources: [...trusted.values()].map(({ own, keys }) => ({ name: own.name, keys })),
  };
}

function partyNamed(name: Json | undefined, issuer: string): readonly Party[] {
  if (typeof name !== 'string' || name === '' || name.length > 1024 || !isName(name)) return [];
  return [{ ...party(issuer, name), by: 'task' }];
}

function holdersOf({ req_wl: workloads, act }: JsonObject, agentsIssuer: string): readonly string[] {
  const named = [workloads].flat().flatMap((name) => (typeof name === 'string' && name !== '' ? [name] : []));
  const ids = named.map((name) => (/^spiffe:\/\/|.#./.test(name) ? name : party(agentsIssuer, name).id));
  if (!isJsonObject(act) || typeof act.sub !== 'string' || act.sub === '') return ids;
  const { iss = agentsIssuer, sub } = act;
  return [...ids, sub.startsWith('spiffe://') ? sub : party(String(iss), sub).id];
}

function thumbprintOf(cnf: Json | undefined): string | undefined {
  const thumbprint = isJsonObject(cnf) ? (cnf.jkt ?? cnf['x5t#S256']) : undefined;
  return typeof thumbprint === 'string' && thumbprint !== '' ? thumbprint : undefined;
}

/** Throws `token_claims` for a bound that cannot be read: it would bound nothing. */
function boundsOf({ resources, until, maxCalls }: JsonObject): TaskBounds {
  const bad = (name: string) => refusal('token_claims', `tctx.${name}`, `The token’s ${name} in tctx cannot be read.`);
  if (resources !== undefined && !(Array.isArray(resources) && resources.every((id) => typeof id === 'string')))
    throw bad('resources');
  if (maxCalls !== undefined && !(Number.isSafeInteger(maxCalls) && Number(maxCalls) >= 0)) throw bad('maxCalls');
  const at = until === undefined ? undefined : timeOf(until);
  if (until !== undefined && at === undefined) throw bad('until');
  return {
    ...(resources !== undefined && { resources: resources as readonly string[] }),
    ...(at !== undefined && { until: at }),
    ...(maxCalls !== undefined && { maxCalls: Number(maxCalls) }),
  };
}

/** Seconds, as in `exp`, or a time in the form of RFC 3339. */
function timeOf(until: Json): EpochMs | undefined {
  const at = typeof until === 'number' ? Math.floor(until * 1000) : Date.parse(String(until));
  return Number.isSafeInteger(at) && at >= 0 ? at : undefined;
}
