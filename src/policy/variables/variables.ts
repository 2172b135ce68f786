// Every variable of conditions. To add one: write its file, and name it in VARIABLES (docs/extending.md).

import { Budget } from '../cel/budget.ts';
import { NO_PARAMS, type PathParams } from '../paths.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { action } from './action.ts';
import { agent } from './agent.ts';
import { approval } from './approval.ts';
import { args, hints, tool } from './arguments.ts';
import { meter } from './meter.ts';
import { novel } from './novel.ts';
import { now } from './now.ts';
import { request } from './request.ts';
import { tainted, taintedBy } from './tainted.ts';
import { task } from './task.ts';
import type { ConditionCall, ConditionInput, Variable } from './variable.ts';

// biome-ignore format: one a line
export const VARIABLES: readonly Variable[] = [
  agent,
  request,
  tool,
  args,
  hints,
  action,
  task,
  tainted,
  taintedBy,
  meter,
  novel,
  approval,
  now,
];

const memberNames = new Map<unknown, ReadonlySet<string>>(
  VARIABLES.flatMap((variable) =>
    'members' in variable ? [[variable.view.prototype, new Set(Object.keys(variable.members))] as const] : [],
  ),
);

/** The members that conditions may read of a view; undefined for any other object. */
export const membersOf = (value: object): ReadonlySet<string> | undefined =>
  memberNames.get(Object.getPrototypeOf(value));

/** The values of every variable for one call, and the budget that all its conditions share. */
export class CallVariables implements ConditionCall {
  readonly budget = new Budget();
  readonly input: ConditionInput;
  readonly vocabulary: Vocabulary;
  readonly caseSensitive: boolean;
  /** Set before the condition of each rule runs. */
  params: PathParams = NO_PARAMS;
  readonly #values: unknown[] = [];

  constructor(input: ConditionInput, vocabulary: Vocabulary, caseSensitive = false) {
    this.input = input;
    this.vocabulary = vocabulary;
    this.caseSensitive = caseSensitive;
  }

  /** The value of VARIABLES[index]; undefined where it is absent. */
  read(index: number): unknown {
    const known = this.#values[index];
    if (known !== undefined) return known;
    const variable = VARIABLES[index];
    if (variable === undefined) return undefined;
    const value = 'members' in variable ? new variable.view(this) : variable.value(this);
    this.#values[index] = value;
    return value;
  }
}
