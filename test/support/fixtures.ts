// Fixtures for `test.extend`: what the tests of a file share is opened once, and closed after the last of them. A test
// names in its first argument what it uses.

interface Closable {
  close(): Promise<unknown> | undefined;
}
type Use<T> = (opened: T) => Promise<void>;

type Fixture<T> = (needs: object, use: Use<T>) => Promise<void>;

/** Opened for the first test of a file that uses it, and closed after the last. */
export function ofFile<T extends Closable>(open: () => Promise<T>): [Fixture<T>, { scope: 'file' }] {
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures this one needs.
  const fixture: Fixture<T> = async ({}, use) => {
    const opened = await open();
    await use(opened);
    await opened.close();
  };
  return [fixture, { scope: 'file' }];
}
