// The arguments of a held call, read out of its body when they are shown or sent.

import type { HeldContent } from './hold.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** Undefined where the body was not read as JSON. A tool call without arguments passes none: `{}`. */
export function heldArguments({ bodyText, argsAt }: HeldContent): Json | undefined {
  if (bodyText === undefined || argsAt === undefined) return undefined;
  let value: Json | undefined = JSON.parse(bodyText) as Json;
  for (const member of argsAt) value = isJsonObject(value) && Object.hasOwn(value, member) ? value[member] : undefined;
  return argsAt.length > 1 ? (value ?? {}) : value;
}

/**
 * A tool call's params besides its name and arguments: nobody should have to look for them in the raw body. Undefined
 * where there are none.
 */
export function heldBeside({ bodyText, argsAt }: HeldContent): JsonObject | undefined {
  if (bodyText === undefined || argsAt?.join('.') !== 'params.arguments') return undefined;
  const message = JSON.parse(bodyText) as Json;
  const params = isJsonObject(message) && isJsonObject(message.params) ? message.params : {};
  const { name: _name, arguments: _arguments, ...others } = params;
  return Object.keys(others).length === 0 ? undefined : others;
}
