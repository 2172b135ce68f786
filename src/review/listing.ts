// The list of holds for one reviewer: pages of the store, without the holds that do not name them.
// Refuses states and limits that do not exist (bad_request).

import { ENDED_STATES, type Hold, type HoldState, OPEN_STATES } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { GatewayError } from '../errors.ts';
import { type Eligibility, isNamed } from './permissions.ts';

const STATES: readonly HoldState[] = [...OPEN_STATES, ...ENDED_STATES];
const DEFAULT_LIMIT = 50;
const LARGEST_LIMIT = 200;
/** A reader whom few holds name gets short pages with a `next`, instead of a long search. */
const STORE_PAGES_PER_ANSWER = 10;

export interface Listing {
  readonly holds: readonly Hold[];
  readonly next?: string;
}

/**
 * `state`: one state or several by comma, in any case, or `all`; default `pending`. `limit`: 1 to 200, default 50.
 * `after`: the previous answer's `next`.
 */
export async function listHolds(
  store: HoldStore,
  eligibility: Eligibility,
  reviewer: Reviewer,
  query: URLSearchParams,
): Promise<Listing> {
  for (const name of query.keys()) {
    if (!['state', 'limit', 'after'].includes(name) || query.getAll(name).length > 1) {
      throw new GatewayError('bad_request', 'The list takes state, limit and after, each once.');
    }
  }
  const states = parseStates(query.get('state') ?? 'pending');
  const limit = parseLimit(query.get('limit'));
  const found: Hold[] = [];
  let after = query.get('after') ?? undefined;
  for (let pages = 0; pages < STORE_PAGES_PER_ANSWER; pages++) {
    // Asks for no more holds than are missing, so that the store's cursor stays at what was shown.
    const page = await store.list({
      ...(states && { states }),
      limit: limit - found.length,
      ...(after !== undefined && { after }),
    });
    found.push(...page.holds.filter((hold) => isNamed(eligibility, hold, reviewer)));
    after = page.next;
    if (after === undefined || found.length >= limit) break;
  }
  return { holds: found, ...(after !== undefined && { next: after }) };
}

function parseStates(text: string): HoldState[] | undefined {
  if (text.toLowerCase() === 'all') return undefined;
  return text.split(',').map((name) => {
    const state = STATES.find((known) => known === name.trim().toUpperCase());
    if (state === undefined)
      throw new GatewayError('bad_request', `state takes all, or any of ${STATES.join(', ').toLowerCase()}.`);
    return state;
  });
}

function parseLimit(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LARGEST_LIMIT) throw new GatewayError('bad_request', `limit takes 1 to ${LARGEST_LIMIT}.`);
  return limit;
}
