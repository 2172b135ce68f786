// The language of a configuration's expressions: CEL (github.com/google/cel-spec) with the variables of variables/, and the
// members that the configuration names, such as its meters. Parses and type-checks. Refuses what is unknown, with a
// sentence that says what to write.

import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { Label } from './cel/label.ts';
import { POLICY_FUNCTIONS } from './cel/policy-functions.ts';
import { explainCelFault, type KnownNames } from './condition-faults.ts';
import { type ConfiguredNames, memberTypesOf, type Variable } from './variables/variable.ts';
import { VARIABLES } from './variables/variables.ts';

/** The library only checks types: cel/evaluate.ts evaluates. */
const NOT_EVALUATED = (): boolean => {
  throw new TypeError('The library does not evaluate conditions.');
};

export interface Language extends KnownNames {
  readonly environment: Environment;
}

const LIMITS = { maxAstNodes: 1000, maxDepth: 64, maxListElements: 256, maxMapEntries: 64, maxCallArguments: 8 };

/** The library's functions, without those of optional values, which conditions do not have. */
const FUNCTIONS = new Environment()
  .getDefinitions()
  .functions.filter(({ signature }) => !signature.includes('optional'))
  .map(({ name }) => name)
  .concat(POLICY_FUNCTIONS.map(({ name }) => name));

/** The language of conditions, or of expressions that may use some of the variables only. */
export function languageOf(names: ConfiguredNames, variables: readonly Variable[] = VARIABLES): Language {
  const environment = new Environment({ limits: LIMITS });
  environment.registerType('Label', { ctor: Label, fields: {} });
  for (const variable of variables) {
    const fields = memberTypesOf(variable, names);
    if (fields !== undefined)
      environment.registerType(variable.type, { ctor: 'view' in variable ? variable.view : class {}, fields });
    environment.registerVariable(variable.name, variable.type);
  }
  // Labels are compared for equality. Their order is not that of texts: `atLeast` knows it.
  for (const other of ['string', 'Label']) environment.registerOperator(`Label == ${other}`, NOT_EVALUATED);
  for (const list of ['list<string>', 'list<Label>']) environment.registerOperator(`Label in ${list}`, NOT_EVALUATED);
  for (const { signature } of POLICY_FUNCTIONS) environment.registerFunction(signature, NOT_EVALUATED);
  return { environment, variables, names, functions: FUNCTIONS };
}

/** Throws TypeError with a sentence that says what is wrong with the expression and where in it. */
export function parseExpression(
  expression: string,
  language: Language,
): { readonly ast: ASTNode; readonly type: string } {
  try {
    const { ast, check } = language.environment.parse(expression);
    const checked = check();
    if (!checked.valid) throw checked.error;
    return { ast, type: checked.type ?? 'dyn' };
  } catch (error) {
    throw new TypeError(explainCelFault(error, language));
  }
}
