// What a variable of conditions is: its name, its CEL type, its meaning, and how its value is read from a call. Values are
// read lazily, so a call pays only for what its conditions read. A value that is absent is undefined, and reading it is
// an evaluation error (has() tells). Maps are Maps, and CEL reads JSON by own keys only: no name reaches a JavaScript
// prototype.

import type { Classifiable } from '../../domain/classification.ts';
import type { DecisionInput } from '../../domain/decision.ts';
import type { HistoryFact } from '../../domain/facts.ts';
import type { PathParams } from '../paths.ts';
import type { Vocabulary } from '../vocabulary.ts';

/**
 * What a condition may rest on. Before a call is classified, only the call itself is known, and its facts are not where
 * its arguments are not: what reads the rest fails to evaluate.
 */
export type ConditionInput = Classifiable & Partial<Omit<DecisionInput, keyof Classifiable>>;

/** One call, as far as variables may look at it. */
export interface ConditionCall {
  readonly input: ConditionInput;
  /** The configuration's own words. */
  readonly vocabulary: Vocabulary;
  /** Whether the upstream tells names apart by the case of letters. */
  readonly caseSensitive: boolean;
  /** The parameters of the path of the rule whose condition runs: every rule has its own pattern. */
  readonly params: PathParams;
}

/**
 * What must be known before the condition may run: `body` (buffered and parsed), `destinations` (buffered, and parsed
 * where it is JSON), `hints` (a server's own words, on which
 * no allow rule may rest), or a fact that is looked up.
 */
export type Reads = 'body' | 'destinations' | 'hints' | HistoryFact;

/** A variable whose value is one of CEL's own types. */
export interface ValueVariable {
  readonly name: string;
  /** CEL's name of the type. */
  readonly type: string;
  /** As docs/policy.md gives it. */
  readonly meaning: string;
  readonly reads?: Reads;
  value(call: ConditionCall): unknown;
}

/** A member of a variable: a getter of its class. */
export interface Member {
  /** CEL's name of the type. */
  readonly type: string;
  /** As docs/policy.md gives it. */
  readonly meaning: string;
  readonly reads?: Exclude<Reads, 'hints'>;
}

/** A variable with members: the getters of a class, which becomes the CEL type `type`. */
export interface ViewVariable {
  readonly name: string;
  readonly type: string;
  readonly meaning: string;
  readonly view: new (call: ConditionCall) => object;
  readonly members: Readonly<Record<string, Member>>;
}

/** The names that conditions may use because the configuration defines them. */
export interface ConfiguredNames {
  readonly meters: readonly string[];
}

/** A variable whose members the configuration names. Its value is a map: a member without a value is not in it. */
export interface NamedVariable {
  readonly name: string;
  readonly type: string;
  /** As docs/policy.md gives it, for every member. */
  readonly meaning: string;
  readonly reads: HistoryFact;
  readonly namedBy: keyof ConfiguredNames;
  /** CEL's name of the type of every member. */
  readonly memberType: string;
  value(call: ConditionCall): unknown;
}

export type Variable = ValueVariable | ViewVariable | NamedVariable;

/** The members that conditions may write after a variable, with their types; undefined for a variable without any. */
export function memberTypesOf(
  variable: Variable,
  names: ConfiguredNames,
): Readonly<Record<string, string>> | undefined {
  if ('namedBy' in variable)
    return Object.fromEntries(names[variable.namedBy].map((name) => [name, variable.memberType]));
  if (!('members' in variable)) return undefined;
  return Object.fromEntries(Object.entries(variable.members).map(([name, { type }]) => [name, type]));
}

/** Makes a variable with members. The compiler checks that every getter of the class is described, and no other name. */
export function viewVariable<View extends object>(variable: {
  readonly name: string;
  readonly type: string;
  readonly meaning: string;
  readonly view: new (call: ConditionCall) => View;
  readonly members: Readonly<Record<keyof View & string, Member>>;
}): ViewVariable {
  return variable;
}
