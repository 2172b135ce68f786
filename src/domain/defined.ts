// Leaves out members without a value. Optional members of this code are absent, never `undefined`
// (`exactOptionalPropertyTypes`), and this is how an object with some of them is written down.

type Undefinable<T> = { [Name in keyof T]: undefined extends T[Name] ? Name : never }[keyof T];

/** A member whose value can be undefined is optional in the result. */
export type Defined<T> = Omit<T, Undefinable<T>> & { [Name in Undefinable<T>]?: Exclude<T[Name], undefined> };

/** A copy without the members that are undefined: `{ ...known, ...defined({ tool, taskId }) }`. */
export function defined<T extends object>(members: T): Defined<T> {
  const kept: Partial<T> = {};
  for (const name in members) if (members[name] !== undefined) kept[name] = members[name];
  return kept as Defined<T>;
}
