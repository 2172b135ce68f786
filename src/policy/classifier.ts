// What an action is by the configuration: the sum of every resource that matches it, of what its upstream says, and of
// the labels of rules whose `match` fits. One entry more makes the sum stricter, never milder. Trusts the action as
// given; a path that no rule takes meets every resource of its upstream.

import type { Action } from '../domain/action.ts';
import { type Classifiable, type Classification, OPERATIONS, type Operation } from '../domain/classification.ts';
import { header } from '../domain/headers.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import type { CompiledRule } from './compiled-rule.ts';
import { indexMatches } from './matcher.ts';
import { readPath } from './paths.ts';
import type { PolicyOptions, ResourceOptions } from './rules.ts';
import { compileSelector, SelectedCall, select } from './selector.ts';
import type { Vocabulary } from './vocabulary.ts';

/** What one entry of the configuration says of an action. */
type Statement = Partial<Omit<ResourceOptions, 'match' | 'when' | 'sendsTo'>> & {
  /** Of a resource that may be meant or not (selector.ts): nothing that it says makes the sum milder. */
  readonly unsure?: true;
};

export interface Classifier {
  classify(call: Classifiable): Classification;
  /** Whether the body must be parsed to classify a call. */
  readsBody(upstream: string, method: string, path: string): boolean;
}

/** How many sums are remembered: enough for any real configuration, and a bound for what a caller can provoke. */
const REMEMBERED_SUMS = 1000;

export function createClassifier(
  options: Pick<PolicyOptions, 'resources' | 'upstreams' | 'unclassified'>,
  rules: readonly CompiledRule[],
  vocabulary: Vocabulary,
): Classifier {
  const names = Object.keys(options.upstreams);
  const resources = indexMatches(options.resources.map(compileSelector), names);
  const labelled = indexMatches(
    rules.filter((rule) => statementOf(rule, vocabulary) !== undefined),
    names,
  );
  const upstreams = new Map(Object.entries(options.upstreams));
  const ownStatements = new Map(
    [...upstreams].flatMap(([name, { environment }]) =>
      environment === undefined ? [] : [[name, { environment }] as const],
    ),
  );
  const sums = new Map<string, Classification>();

  function sumOf(key: string, operation: Operation, statements: () => readonly Statement[]): Classification {
    const known = sums.get(key);
    if (known !== undefined) return known;
    if (sums.size >= REMEMBERED_SUMS) sums.clear();
    const sum = addUp(statements(), operation, vocabulary, options.unclassified);
    sums.set(key, sum);
    return sum;
  }

  return {
    classify(call) {
      const { action } = call;
      const operation = operationOf(action);
      const own = ownStatements.get(action.upstream);
      const replays = resumesStream(call);
      const candidates = replays ? resources.of(action.upstream) : resources.candidates(action.upstream, action.method);
      const byRules = labelled.candidates(action.upstream, action.method);
      if (candidates.length === 0 && byRules.length === 0)
        return own === undefined
          ? sumOf(operation, operation, () => [])
          : sumOf(`${operation} ${action.upstream}`, operation, () => [own]);
      const selected = new SelectedCall(call, vocabulary, upstreams.get(action.upstream)?.caseSensitive === true);
      const found = replays ? candidates.map((selector) => ({ selector, sure: false })) : select(candidates, selected);
      const met = found.map(({ selector: { options }, sure }): Statement & { readonly id: string } =>
        sure ? options : { ...options, unsure: true },
      );
      const fitting = byRules.filter((rule) => fits(rule, selected));
      const key = [
        operation,
        action.upstream,
        ...met.map(({ id, unsure }) => (unsure ? `?${id}` : id)),
        '',
        ...fitting.map(({ index }) => index),
      ];
      return sumOf(key.join(' '), operation, () => [
        ...(own === undefined ? [] : [own]),
        ...met,
        ...fitting.flatMap((rule) => statementOf(rule, vocabulary) ?? []),
      ]);
    },
    readsBody(upstream, method, path) {
      const reading = resources.candidates(upstream, method).filter(({ condition }) => condition?.readsBody === true);
      const read = reading.length === 0 ? undefined : readPath(path);
      const caseSensitive = upstreams.get(upstream)?.caseSensitive === true;
      return read !== undefined && reading.some(({ matchPath }) => matchPath(read, caseSensitive) !== undefined);
    },
  };
}

/** MCP: a server tells on a resumed stream what it has kept for it, whatever that answered: any resource may be meant. */
const resumesStream = ({ action, headers }: Classifiable): boolean =>
  action.protocol === 'mcp' && action.method === 'GET' && header(headers, 'last-event-id') !== undefined;

function fits(rule: CompiledRule, { action, path, caseSensitive }: SelectedCall): boolean {
  return (
    path !== undefined && rule.matchRpc(action, caseSensitive) && rule.matchPath(path, caseSensitive) !== undefined
  );
}

/** A text of a rule that is no label says nothing that could be compared: reviewers read it. */
function statementOf({ options: { data, reversible } }: CompiledRule, vocabulary: Vocabulary): Statement | undefined {
  const label = data === undefined ? undefined : vocabulary.label(data);
  if (label === undefined && reversible === undefined) return undefined;
  return { ...(label && { data: label.text }), ...(reversible !== undefined && { reversible }) };
}

function addUp(
  statements: readonly Statement[],
  byMethod: Operation,
  vocabulary: Vocabulary,
  unclassified: string | undefined,
): Classification {
  const every = <Key extends keyof Statement>(key: Key) =>
    statements.flatMap((each): Exclude<Statement[Key], undefined>[] => {
      const value = each[key];
      return value === undefined ? [] : [value as Exclude<Statement[Key], undefined>];
    });
  // What would be said if none of the unsure ones were meant, where that is known.
  const isSaid = (key: keyof Statement) => statements.some((each) => each[key] !== undefined && !each.unsure);
  const without = <Value>(key: keyof Statement, value: Value | undefined): readonly Value[] =>
    value === undefined || isSaid(key) ? [] : [value];
  const data = highest(
    [...every('data'), ...without('data', unclassified)],
    (label) => vocabulary.label(label)?.rank ?? -1,
  );
  const operation =
    highest([...every('operation'), ...without('operation', byMethod)], (each) => OPERATIONS.indexOf(each)) ?? byMethod;
  const named = highest(every('environment'), environmentRank);
  const environment = named === 'sandbox' && !isSaid('environment') ? undefined : named;
  const reversible = every('reversible').filter((each) => !each || isSaid('reversible'));
  const requireTask = highest(every('requireTask'), (need) => (need === 'attested' ? 1 : 0));
  return {
    resources: every('id'),
    ...(data !== undefined && { data }),
    ...(reversible.length > 0 && { reversible: !reversible.includes(false) }),
    operation,
    ...(environment !== undefined && { environment }),
    owners: every('owners'),
    taints: [...new Set(every('taints').flat())],
    carries: statements.flatMap(({ id, carries }) => (id !== undefined && carries === true ? [id] : [])),
    result: [...new Set(every('result').flat())],
    ...(requireTask !== undefined && { requireTask }),
  };
}

/** The first of those with the highest rank. */
function highest<T>(values: readonly T[], rank: (value: T) => number): T | undefined {
  return values.reduce<T | undefined>(
    (best, value) => (best === undefined || rank(value) > rank(best) ? value : best),
    undefined,
  );
}

const environmentRank = (name: string): number => (name === 'sandbox' ? 0 : name === 'production' ? 2 : 1);

/** Where no resource says what an operation is. A server's own words can make a tool more dangerous, never less. */
function operationOf(action: Action): 'read' | 'write' | 'delete' {
  const { protocol, method, mcp, tool } = action;
  if (protocol === 'mcp') {
    if (tool !== undefined) return mcp?.hints?.destructiveHint === true ? 'delete' : 'write';
    return isLifecycle(action) || MCP_READS.has(mcp?.method ?? '') ? 'read' : 'write';
  }
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return 'read';
  return method === 'DELETE' ? 'delete' : 'write';
}

const MCP_READS: ReadonlySet<string> = new Set([
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/get',
  'completion/complete',
  'tasks/get',
  'tasks/list',
  'tasks/result',
]);
