// Reads claims that the configuration names. Issuers write them under a plain name or nested, as one text or as a list
// of texts.

/**
 * The claim of this name. If there is none, the name is read as a path through objects (`realm_access.roles`). The
 * exact name comes first at every step, so a URL with dots is found as a name. Undefined where there is nothing, or
 * null.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name] ?? undefined;
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const head = name.slice(0, dot);
    const inner = Object.hasOwn(claims, head) ? claims[head] : undefined;
    const found = isRecord(inner) ? claimAt(inner, name.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The texts of a claim: a list, or one text alone. Undefined where there is no claim; null where the claim is something
 * else.
 */
export function textsAt(claims: Readonly<Record<string, unknown>>, name: string): readonly string[] | undefined | null {
  const value = claimAt(claims, name);
  if (value === undefined) return undefined;
  const list: unknown = typeof value === 'string' ? [value] : value;
  return Array.isArray(list) && list.every((entry): entry is string => typeof entry === 'string')
    ? list.filter((entry) => entry !== '')
    : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
