// What resources and meters are about: a `match`, and perhaps a condition over the call itself. Both are matched as hold
// rules are: by every spelling, and a condition that fails to evaluate counts as true. So no spelling of a call, and no
// value in it, leads around a classification.

import type { Action } from '../domain/action.ts';
import type { Classifiable } from '../domain/classification.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import { type Condition, compileCondition } from './conditions.ts';
import { languageOf } from './language.ts';
import { compileMatcher, type Matcher, namesNoMessage } from './matcher.ts';
import { NO_PARAMS, type PathParams, type ReadPath, readPath } from './paths.ts';
import type { CallMatch } from './rules.ts';
import { agent } from './variables/agent.ts';
import { args, tool } from './variables/arguments.ts';
import { request } from './variables/request.ts';
import { CallVariables } from './variables/variables.ts';
import type { Vocabulary } from './vocabulary.ts';

/** The language of their conditions is about the call itself: nothing is known yet of what happened before. */
export const SELECTING = languageOf({ meters: [] }, [agent, request, tool, args]);

interface SelectorOptions {
  readonly match: CallMatch;
  readonly when?: string;
}

export interface Selector<Options extends SelectorOptions> extends Matcher {
  readonly options: Options;
  readonly condition?: Condition;
  /** The same `match` for the call as it is written. */
  readonly exact: Matcher;
}

/** Throws TypeError for a path or condition that does not compile; checkPolicy has reported it before. */
export function compileSelector<Options extends SelectorOptions>(options: Options): Selector<Options> {
  const { match, when } = options;
  const matcher = compileMatcher(match, 'lenient', namesNoMessage(match));
  const condition = when === undefined ? undefined : compileCondition(when, SELECTING);
  return {
    ...matcher,
    options,
    exact: compileMatcher(match, 'exact', namesNoMessage(match)),
    ...(condition && { condition }),
    readsBody: matcher.readsBody || condition?.readsBody === true,
  };
}

/** One call as selectors read it. All their conditions share one budget. */
export class SelectedCall {
  readonly action: Action;
  readonly caseSensitive: boolean;
  /** Undefined where two servers could read the path differently. No rule lets such a call pass. */
  readonly path: ReadPath | undefined;
  readonly #call: Classifiable;
  readonly #vocabulary: Vocabulary;
  #variables: CallVariables | undefined;

  constructor(call: Classifiable, vocabulary: Vocabulary, caseSensitive: boolean) {
    this.action = call.action;
    this.caseSensitive = caseSensitive;
    this.path = readPath(call.action.path);
    this.#call = call;
    this.#vocabulary = vocabulary;
  }

  get variables(): CallVariables {
    this.#variables ??= new CallVariables(this.#call, this.#vocabulary, this.caseSensitive);
    return this.#variables;
  }

  get overBudget(): boolean {
    return this.path?.overBudget === true || this.#variables?.budget.spent === true;
  }
}

export interface Selected<Options extends SelectorOptions> {
  readonly selector: Selector<Options>;
  readonly params: PathParams;
  /**
   * False where only another spelling of the call matches, or the condition could not be evaluated. What such an entry
   * says counts where it makes a decision stricter: otherwise an agent could choose it by a value that no condition
   * can read.
   */
  readonly sure: boolean;
}

/** Which of the selectors a call meets. When the budget is spent, no condition has a result, and all count as true. */
export function select<Options extends SelectorOptions>(
  selectors: readonly Selector<Options>[],
  call: SelectedCall,
): readonly Selected<Options>[] {
  const found = meet(selectors, call, ({ condition }, params) => {
    if (condition === undefined) return true;
    call.variables.params = params;
    return condition.evaluate(call.variables);
  });
  return call.overBudget ? meet(selectors, call, () => 'failed') : found;
}

function meet<Options extends SelectorOptions>(
  selectors: readonly Selector<Options>[],
  call: SelectedCall,
  judge: (selector: Selector<Options>, params: PathParams) => boolean | 'failed',
): readonly Selected<Options>[] {
  return selectors.flatMap((selector) => {
    if (!selector.matchRpc(call.action, call.caseSensitive)) return [];
    const params = call.path === undefined ? NO_PARAMS : selector.matchPath(call.path, call.caseSensitive);
    if (params === undefined) return [];
    const met = judge(selector, params);
    return met === false ? [] : [{ selector, params, sure: met === true && isExact(selector, call) }];
  });
}

function isExact({ exact }: Pick<Selector<SelectorOptions>, 'exact'>, { action, path }: SelectedCall): boolean {
  // `exact` is made for rules that allow: it takes no WebSocket where `match` does not name it, and on a shared mount no
  // tool without its server. Neither is a spelling.
  const { upgrade: _, ...plain } = action;
  const { mount } = readUpstreamName(action.upstream);
  return (
    path !== undefined &&
    (exact.matchRpc(action, true) || exact.matchRpc({ ...plain, upstream: mount }, true)) &&
    exact.matchPath(path, true) !== undefined
  );
}
