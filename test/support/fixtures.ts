// Fixtures for `test.extend`: what is opened for a test, or once for all tests of a file, and closed after them. A test
// names in its first argument what it uses.

interface Closable {
  close(): Promise<unknown> | undefined;
}
type Use<T> = (opened: T) => Promise<void>;

type Fixture<T> = (needs: object, use: Use<T>) => Promise<void>;

/** Opened for each test that uses it, and closed after it. */
export function ofTest<T extends Closable>(open: () => Promise<T>): Fixture<T> {
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures this one needs.
  return async ({}, use) => {
    const opened = await open();
    await use(opened);
    await opened.close();
  };
}

/** Opened for the first test of a file that uses it, and closed after the last. */
export function ofFile<T extends Closable>(open: () => Promise<T>): [Fixture<T>, { scope: 'file' }] {
  return [ofTest(open), { scope: 'file' }];
}
