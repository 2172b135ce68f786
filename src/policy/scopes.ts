// How a rule narrows the credential: a JSON object whose strings may hold `{name}` for a path parameter. The agent
// chooses a parameter, so only plain names are filled in; any other value makes the decision a deny.

import type { Json, JsonObject } from '../domain/json.ts';
import type { PathParams } from './paths.ts';

const TEMPLATE = /\{([A-Za-z_]\w*)\}/g;
const SAFE_VALUE = /^(?!\.{1,2}$)[A-Za-z0-9._~@:+-]+$/;

/** Thrown for a parameter that must not be put into a scope; `parameter` is its name, never its value. */
export class UnsafeParameter extends Error {
  readonly parameter: string;
  constructor(parameter: string) {
    super(`the path parameter ${parameter} is missing or holds more than a plain name`);
    this.parameter = parameter;
  }
}

/** The names that a scope asks for. */
export function templateNames(scope: Json): readonly string[] {
  if (typeof scope === 'string') return [...scope.matchAll(TEMPLATE)].map((found) => found[1] as string);
  if (Array.isArray(scope)) return scope.flatMap(templateNames);
  if (scope !== null && typeof scope === 'object') return Object.values(scope).flatMap(templateNames);
  return [];
}

/** The scope with its templates filled in. Keys are never templates. Throws UnsafeParameter. */
export function fillScope(scope: JsonObject, params: PathParams): JsonObject {
  return fill(scope, params) as JsonObject;
}

function fill(value: Json, params: PathParams): Json {
  if (typeof value === 'string') return value.replaceAll(TEMPLATE, (_, name: string) => safeValue(params, name));
  if (Array.isArray(value)) return value.map((item) => fill(item, params));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, params)]));
  return value;
}

function safeValue(params: PathParams, name: string): string {
  const value = params.get(name);
  if (value === undefined || !SAFE_VALUE.test(value)) throw new UnsafeParameter(name);
  return value;
}
