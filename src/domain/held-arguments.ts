// The arguments of a held call, read out of its body when they are shown or sent.

import type { HeldContent } from './hold.ts';
import { isJsonObject, type Json } from './json.ts';

/** Undefined where the body was not read as JSON. A tool call without arguments passes none: `{}`. */
export function heldArguments({ bodyText, argsAt }: HeldContent): Json | undefined {
  if (bodyText === undefined || argsAt === undefined) return undefined;
  let value: Json | undefined = JSON.parse(bodyText) as Json;
  for (const member of argsAt) value = isJsonObject(value) && Object.hasOwn(value, member) ? value[member] : undefined;
  return argsAt.length > 1 ? (value ?? {}) : value;
}
