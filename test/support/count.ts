// Numbers that no other test of a file uses: bodies made of them meet no other test's hold.

/** Gives the next number with each call. */
export function countFrom(first: number): () => number {
  let next = first;
  return () => next++;
}
