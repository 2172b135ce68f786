// Names in a call that are only nearly the ones that a condition reads. A server may take `Amount`, `to_account` or `?+force` for `amount`,
// `toAccount` and `force` (domain/normal-forms), where the condition finds nothing: `!has(args.force)` would be true of a call that is forced. So a
// condition cannot be evaluated on a call that has such a name, and fails closed. Names in a rule are written as the upstream writes them.

import type { DecisionInput } from '../domain/decision.ts';
import type { Json } from '../domain/json.ts';
import { foldKey } from '../domain/normal-forms/keys.ts';
import { parameterName, parametersOf } from '../domain/normal-forms/parameters.ts';
import type { Condition } from './conditions.ts';

/** As some servers match names: Google's APIs and grpc-gateway take `to_account` and `toAccount` for one another. */
const loosely = (name: string): string => name.replace(/[-_. ]/g, '');

/** `.name`, but no function, and nothing that the gateway itself calls so; `["name"]`; `"name" in`. */
const FIELD = /(?<!\b(?:request|agent|task|approval)\s*)\.\??\s*([A-Za-z_]\w*)(?![\w]|\s*\()/g;
const INDEX = /[\w\])]\s*\[\s*\??\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\]|(?:"([^"\\]*)"|'([^'\\]*)')\s+in\b/g;

function namesIn(expression: string): ReadonlySet<string> {
  const names = [...expression.matchAll(FIELD), ...expression.matchAll(INDEX)].flatMap(([, ...groups]) => groups.filter((name) => name !== undefined));
  return new Set(names);
}

/** The names of one call, by their loose form. Worked out once, when a condition first asks. */
export class CallNames {
  readonly #input: DecisionInput;
  #body: ReadonlyMap<string, readonly string[]> | undefined;
  #query: ReadonlyMap<string, readonly string[]> | undefined;
  constructor(input: DecisionInput) {
    this.#input = input;
  }
  /** Each key once, wherever it stands. */
  get body(): ReadonlyMap<string, readonly string[]> {
    this.#body ??= byForm(keysIn(this.#input.action.args), (key) => loosely(foldKey(key)));
    return this.#body;
  }
  /** Each parameter as often as it comes. */
  get query(): ReadonlyMap<string, readonly string[]> {
    this.#query ??= byForm(parametersIn(this.#input.action.query ?? ''), (name) => loosely(parameterName(name.replace(/^;/, ''))));
    return this.#query;
  }
}

/** A parameter behind a semicolon is one to some servers only: its name has the semicolon before it, which makes it another. */
function parametersIn(query: string): string[] {
  return query.split('&').flatMap((pair) => [...parametersOf(pair)].map(({ name }, index) => (index === 0 ? name : `;${name}`)));
}

function byForm(names: Iterable<string>, form: (name: string) => string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const key = form(name);
    const known = found.get(key);
    if (known === undefined) found.set(key, [name]);
    else known.push(name);
  }
  return found;
}

function keysIn(value: Json | undefined, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found;
  for (const [key, child] of Object.entries(value)) {
    if (!Array.isArray(value)) found.add(key);
    keysIn(child as Json, found);
  }
  return found;
}

/** The condition, failing where a name of the call is only nearly one that it reads. */
export function withExactNames(expression: string, condition: Condition): Condition {
  const names = namesIn(expression);
  const forms = new Set([...names].map((name) => loosely(foldKey(name))));
  const readsQuery = /\bquery\b/.test(expression);
  const differs = (name: string): boolean => !names.has(name);
  return {
    ...condition,
    evaluate(variables) {
      for (const form of forms) {
        if (condition.readsBody && variables.names.body.get(form)?.some(differs)) return 'failed';
        const parameters = readsQuery ? variables.names.query.get(form) : undefined;
        if (parameters !== undefined && (parameters.length > 1 || parameters.some(differs))) return 'failed';
      }
      return condition.evaluate(variables);
    },
  };
}
