// What the gateway knows of an agent, a person, a root of tasks or a resource: its marks, with what set them and when they
// end. And lifting one mark, by people whom `reviewers.declassify` names. Refuses whoever was in the chain of a call that
// set the mark, and the owners of its agent.

import type { Hono } from 'hono';
import { z } from 'zod';
import { isFresh } from '../domain/assurance.ts';
import type { AuditLog } from '../domain/audit.ts';
import { type EpochMs, isoTime } from '../domain/clock.ts';
import type { Meter, MeterStore } from '../domain/meter.ts';
import { nameKey } from '../domain/name.ts';
import type { NoveltyStore } from '../domain/novelty.ts';
import { isOneOf } from '../domain/person.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { MARK_SCOPES, type Mark, type MarkKey, type MarkStore } from '../domain/taint.ts';
import { GatewayError } from '../errors.ts';
import { accept, type ParseJson, readJson } from './ballot.ts';
import type { Powers } from './interventions.ts';

export interface FactsParts {
  powersOf(reviewer: Reviewer): Powers;
  readonly marks: MarkStore;
  readonly meters: Pick<MeterStore, 'stand'>;
  readonly novelty: Pick<NoveltyStore, 'known'>;
  /** The meters of the configuration in force. */
  metersInForce(): readonly Meter[];
  readonly audit: AuditLog;
  /** Who is accountable for an agent. */
  owners(agentKey: string): readonly string[];
}

type FactsEnv = { Variables: { reviewer: Reviewer } };

const name = z.string().min(1).max(2_000);
const declassification = z.strictObject({
  taint: name,
  scope: z.enum(MARK_SCOPES),
  key: name,
  reason: z.string().trim().min(1).max(2_000),
});

/** Registers the routes; the caller has authenticated and set `reviewer`. */
export function addFactRoutes<E extends FactsEnv>(
  app: Hono<E>,
  parts: FactsParts,
  { parseJson, now }: { readonly parseJson: ParseJson; now(): EpochMs },
): void {
  app.get('/api/v1/facts', async (context) => {
    const powers = parts.powersOf(context.var.reviewer);
    if (!powers.watch && !powers.declassify)
      throw new GatewayError(
        'not_a_reviewer',
        'This is for people whom reviewers.watch or reviewers.declassify names.',
      );
    const key = readKey(context.req.query());
    const marks = await parts.marks.on([key]);
    return context.json({
      ...key,
      marks: marks.map(viewMark),
      meters: viewMeters(parts, key),
      ...(key.scope === 'agent' && { novelty: viewNovelty(parts, key.key) }),
    });
  });

  app.post('/api/v1/declassifications', async (context) => {
    const { reviewer } = context.var;
    if (!parts.powersOf(reviewer).declassify)
      throw new GatewayError('not_a_reviewer', 'This is for people whom reviewers.declassify names.');
    if (!isFresh(reviewer.authenticatedAt, now()))
      throw new GatewayError('step_up_required', 'A mark is lifted only within five minutes of a sign-in.');
    const asked = accept(declassification, await readJson(context.req.raw, parseJson), 'bad_request');
    const { taint, reason } = asked;
    const { scope, key } = keyOf(asked.scope, asked.key);
    const mark = (await parts.marks.on([{ scope, key }])).find((each) => each.taint === taint);
    if (mark === undefined) throw noMark();
    refuseInvolved(mark, reviewer, parts.owners);
    const at = now();
    const done = { taint, scope, key, by: reviewer.id, reason };
    // Lifting a mark lets calls through again, so it is recorded first.
    await parts.audit.append('declassification', at, { ...done, lifted: viewMark(mark) }, 'fsync');
    if ((await parts.marks.lift({ scope, key }, taint)) === undefined) throw noMark();
    return context.json({ ...done, at: isoTime(at), lifted: viewMark(mark) }, 201);
  });
}

const noMark = (): GatewayError => new GatewayError('not_found', 'No mark of this taint is in force there.');

function keyOf(scope: MarkKey['scope'], key: string): MarkKey {
  return { scope, key: scope === 'person' ? nameKey(key) : key };
}

function readKey(query: Readonly<Record<string, string>>): MarkKey {
  const named = MARK_SCOPES.filter((scope) => query[scope] !== undefined);
  const [scope] = named;
  const key = scope && query[scope];
  if (scope === undefined || !key || named.length > 1)
    throw new GatewayError('bad_request', `Name one of ${MARK_SCOPES.join(', ')} in the query.`);
  return keyOf(scope, key);
}

/** Throws `separation_of_duties`. */
function refuseInvolved({ scope, key, cause }: Mark, reviewer: Reviewer, owners: FactsParts['owners']): void {
  const agents = scope === 'agent' ? [cause.agent, key] : [cause.agent];
  const accountable = agents.flatMap(owners).flatMap((owner) => [nameKey(owner), nameKey(owner.replace(/^user:/, ''))]);
  const involved = [...cause.chain, ...(scope === 'person' ? [key] : []), ...accountable];
  if (isOneOf(reviewer, involved))
    throw new GatewayError(
      'separation_of_duties',
      'The mark comes from a call that you made, that was made on your behalf, or by an agent that you own.',
    );
}

/** By name, the meters that count in this scope, with what open holds and calls under way reserve. */
function viewMeters({ meters, metersInForce }: FactsParts, { scope, key }: MarkKey) {
  if (scope === 'resource') return {};
  return Object.fromEntries(
    metersInForce()
      .filter(({ per }) => per.includes(scope))
      .map((meter) => [meter.name, { ...meters.stand(meter, scope, key), windowMs: meter.windowMs }]),
  );
}

const MOST_SHOWN = 200;

const viewNovelty = ({ novelty }: FactsParts, agentKey: string) =>
  novelty.known(agentKey, MOST_SHOWN).map(({ until, ...known }) => ({ ...known, until: isoTime(until) }));

export function viewMark({ taint, scope, key, since, until, cause }: Mark) {
  const { call, at, resources, agent, chain } = cause;
  return {
    ...{ taint, scope, key, since: isoTime(since), until: isoTime(until) },
    cause: { call, at: isoTime(at), resources, agent, people: chain },
  };
}
