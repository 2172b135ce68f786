// Runs conditions. The library parses and type-checks them; this file runs them over the library's public syntax tree.
// A condition meets an agent's data, and the library's evaluator has no bounds: it counts no steps, remembers the type
// of every list and map for ever, and compares values of two types. What cannot be evaluated has the value FAILED; only
// OVER_BUDGET is thrown.

import type { ASTNode } from '@marcbachmann/cel-js';
import { type CallVariables, VARIABLES } from '../variables/variables.ts';
import type { Budget, EvaluationTerms } from './budget.ts';
import { type CelFunction, compileMatches, findFunction, TYPES } from './functions.ts';
import { binary, negate } from './operators.ts';
import { POLICY_FUNCTIONS } from './policy-functions.ts';
import { FAILED, keysOf, kindOf, lookUp, member, type Value } from './values.ts';

/** One evaluation: what the call brings, and the values of the variables that macros bind. */
interface EvaluationRun extends EvaluationTerms {
  readonly variables: CallVariables;
  readonly locals: Value[];
}

interface CompiledPart {
  /** Steps of one run, without the bodies of macros, which charge for each of their rounds. */
  readonly steps: number;
  run(run: EvaluationRun): Value;
}

/** Where a name that a macro binds has its value. */
type Names = ReadonlyMap<string, number>;

export type Program = (variables: CallVariables) => Value;

/** Throws TypeError for an unknown function, and for a pattern that is not written out. */
export function compileProgram(ast: ASTNode): Program {
  const { steps, run } = compile(ast, new Map());
  return (variables) => {
    const { budget, caseSensitive } = variables;
    budget.charge(steps);
    return run({ variables, budget, caseSensitive, locals: [] });
  };
}

function compile(node: ASTNode, names: Names): CompiledPart {
  switch (node.op) {
    case 'value': {
      const { args: literal } = node;
      return part([], () => literal);
    }
    case 'id':
      return readName(node.args, names);
    case '.': {
      const [holder, name] = [compile(node.args[0], names), node.args[1]];
      return part([holder], (run) => member(holder.run(run), name));
    }
    case '[]': {
      const [holder, key] = compileAll(node.args, names);
      return part([holder, key], (run) => element(holder.run(run), key.run(run)));
    }
    case 'list': {
      const items = node.args.map((item) => compile(item, names));
      return part(items, (run) => gather(items, run) ?? FAILED);
    }
    case 'map':
      return compileMap(node.args, names);
    case '?:': {
      const [condition, yes, no] = compileAll(node.args, names);
      return part([condition, yes, no], (run) => {
        const verdict = condition.run(run);
        return verdict === true ? yes.run(run) : verdict === false ? no.run(run) : FAILED;
      });
    }
    case '||':
      return either(compileAll(node.args, names), true);
    case '&&':
      return either(compileAll(node.args, names), false);
    case '!_':
    case '-_': {
      const [operand, isNot] = [compile(node.args, names), node.op === '!_'];
      return part([operand], (run) => negate(operand.run(run), isNot));
    }
    case 'call':
      return node.args[0] === 'has'
        ? compileHas(node.args[1], names)
        : compileCall(node.args[0], node.args[1], false, names);
    case 'rcall':
      return compileMacro(node.args, names) ?? compileCall(node.args[0], [node.args[1], ...node.args[2]], true, names);
    case '.?':
    case '[?]':
      throw new TypeError('Use `has()`: conditions have no optional values.');
    default: {
      const [left, right] = compileAll(node.args, names);
      const operate = binary(node.op, node.args.some(isNullLiteral));
      return part([left, right], (run) => operate(left.run(run), right.run(run), run));
    }
  }
}

const part = (parts: readonly CompiledPart[], run: CompiledPart['run']): CompiledPart => ({
  steps: parts.reduce((sum, { steps }) => sum + steps, 1),
  run,
});

const compileAll = <T extends readonly ASTNode[]>(nodes: T, names: Names) =>
  nodes.map((node) => compile(node, names)) as { readonly [K in keyof T]: CompiledPart };

const isNullLiteral = (node: ASTNode): boolean => node.op === 'value' && node.args === null;

function readName(name: string, names: Names): CompiledPart {
  const slot = names.get(name);
  if (slot !== undefined) return part([], ({ locals }) => locals[slot]);
  const type = TYPES.get(name);
  if (type !== undefined) return part([], () => type);
  const index = VARIABLES.findIndex((variable) => variable.name === name);
  return part([], ({ variables }) => variables.read(index) ?? FAILED);
}

/** `||` is true and `&&` false as soon as one side is so, even where the other cannot be evaluated. */
function either([left, right]: readonly [CompiledPart, CompiledPart], decisive: boolean): CompiledPart {
  return part([left, right], (run) => {
    const first = left.run(run);
    if (first === decisive) return decisive;
    const second = right.run(run);
    if (second === decisive) return decisive;
    return first === !decisive && second === !decisive ? !decisive : FAILED;
  });
}

function element(holder: Value, key: Value): Value {
  if (!Array.isArray(holder)) return member(holder, key);
  const index = typeof key === 'bigint' ? Number(key) : key;
  return typeof index === 'number' && Object.hasOwn(holder, index) ? holder[index] : FAILED;
}

/** Every value, or undefined when one of them cannot be evaluated. */
function gather(parts: readonly CompiledPart[], run: EvaluationRun): Value[] | undefined {
  const values: Value[] = [];
  for (const each of parts) {
    const value = each.run(run);
    if (value === FAILED) return undefined;
    values.push(value);
  }
  return values;
}

/** What an entry of a map literal costs beside its key and its value. */
const MAP_ENTRY: CompiledPart = { steps: 10, run: () => FAILED };

function compileMap(entries: readonly (readonly [ASTNode, ASTNode])[], names: Names): CompiledPart {
  const keys = entries.map(([key]) => compile(key, names));
  const values = entries.map(([, value]) => compile(value, names));
  // A map is the most expensive of values to make.
  return part([...keys, ...values, ...entries.map(() => MAP_ENTRY)], (run) => {
    const [known, held] = [gather(keys, run), gather(values, run)];
    return known && held ? new Map(known.map((key, index) => [key, held[index]])) : FAILED;
  });
}

function compileCall(name: string, operands: readonly ASTNode[], isMethod: boolean, names: Names): CompiledPart {
  const parts = operands.map((operand) => compile(operand, names));
  const own = isMethod ? undefined : POLICY_FUNCTIONS.find((each) => each.name === name);
  if (own !== undefined)
    return part(parts, (run) => {
      const values = gather(parts, run);
      return values === undefined ? FAILED : own.call(values, run.variables);
    });
  const call = findCall(name, operands, isMethod);
  return part(parts, (run) => {
    const values = gather(parts, run);
    return values === undefined ? FAILED : call(values, run.budget);
  });
}

function findCall(name: string, operands: readonly ASTNode[], isMethod: boolean): CelFunction {
  if (!isMethod || name !== 'matches' || operands.length !== 2)
    return findFunction(name, isMethod, operands.length - (isMethod ? 1 : 0));
  const pattern = operands[1];
  const matches = compileMatches(pattern?.op === 'value' ? pattern.args : undefined);
  return ([text], budget) => matches([text], budget);
}

/** `has(a.b.c)`: whether the last member exists. The members before it must exist. */
function compileHas([path]: readonly ASTNode[], names: Names): CompiledPart {
  if (path?.op !== '.') throw new TypeError('Write a path in `has()`, such as `args.name`.');
  const [holder, name] = [compile(path.args[0], names), path.args[1]];
  return part([holder], (run) => {
    const found = lookUp(holder.run(run), name, run);
    return kindOf(found) === 'none' && found !== undefined ? FAILED : found !== undefined;
  });
}

/** A round of a macro: the body over one element. */
type Round = (item: Value) => Value;
type Macro = (items: readonly Value[], round: Round) => Value;

const MACROS: Readonly<Record<string, Macro>> = {
  'all/2': (items, round) => quantify(items, round, false),
  'exists/2': (items, round) => quantify(items, round, true),
  'exists_one/2': (items, round) => {
    const found = choose(items, round);
    return found === undefined ? FAILED : found.length === 1;
  },
  'filter/2': (items, round) => choose(items, round) ?? FAILED,
  'map/2': (items, round) => transform(items, round),
};

/** As `||` and `&&` over the elements. */
function quantify(items: readonly Value[], round: Round, decisive: boolean): Value {
  let failed = false;
  for (const item of items) {
    const verdict = round(item);
    if (verdict === decisive) return decisive;
    failed ||= verdict !== !decisive;
  }
  return failed ? FAILED : !decisive;
}

function choose(items: readonly Value[], round: Round): Value[] | undefined {
  const chosen: Value[] = [];
  for (const item of items) {
    const verdict = round(item);
    if (typeof verdict !== 'boolean') return undefined;
    if (verdict) chosen.push(item);
  }
  return chosen;
}

function transform(items: readonly Value[], round: Round): Value {
  const made: Value[] = [];
  for (const item of items) {
    const value = round(item);
    if (value === FAILED) return FAILED;
    made.push(value);
  }
  return made;
}

/** Undefined for a call that is no macro. */
function compileMacro(
  [name, range, operands]: readonly [string, ASTNode, readonly ASTNode[]],
  names: Names,
): CompiledPart | undefined {
  const [variable, ...bodies] = operands;
  const isBind = name === 'bind' && range.op === 'id' && range.args === 'cel' && operands.length === 3;
  const macro =
    Object.hasOwn(MACROS, `${name}/2`) && (operands.length === 2 || (name === 'map' && operands.length === 3))
      ? MACROS[`${name}/2`]
      : undefined;
  if (variable?.op !== 'id' || (!isBind && macro === undefined)) return undefined;
  const slot = Math.max(-1, ...names.values()) + 1;
  const inner = new Map(names).set(variable.args, slot);
  if (macro === undefined) {
    const [value, body] = [compile(bodies[0] as ASTNode, names), compile(bodies[1] as ASTNode, inner)];
    return part([value, body], (run) => {
      run.locals[slot] = value.run(run);
      return run.locals[slot] === FAILED ? FAILED : body.run(run);
    });
  }
  const [items, [condition, body]] = [compile(range, names), bodies.map((each) => compile(each, inner))] as [
    CompiledPart,
    [CompiledPart, CompiledPart | undefined],
  ];
  return part([items], (run) => {
    const found = rangeOf(items.run(run), run.budget);
    if (found === undefined) return FAILED;
    const over = (each: CompiledPart): Round => {
      return (item) => {
        run.budget.charge(1 + each.steps);
        run.locals[slot] = item;
        return each.run(run);
      };
    };
    if (body === undefined) return macro(found, over(condition));
    const chosen = choose(found, over(condition));
    return chosen === undefined ? FAILED : macro(chosen, over(body));
  });
}

/** What a macro iterates over: the elements of a list, or the keys of a map. */
function rangeOf(value: Value, budget: Budget): readonly Value[] | undefined {
  if (Array.isArray(value)) return value;
  return kindOf(value) === 'map' ? keysOf(value as object, budget) : undefined;
}
