// JSON as a type. Values come from the strict parser in actions/json.ts or from verified tokens.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Without the members that are null: for optional members null says the same as absence, and serialisers write it for
 * what is not there.
 */
export function presentMembers(object: JsonObject): JsonObject {
  const members = Object.entries(object);
  const present = members.filter(([, value]) => value !== null);
  return present.length === members.length ? object : Object.fromEntries(present);
}

/** Freezes a parsed value through and through, for values that calls share. */
export function deepFreeze<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}
