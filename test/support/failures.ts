// What a promise was refused with.

/** The code of the refusal; `resolved` when the promise was not refused. */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (thrown: unknown) => (thrown as { code?: string }).code ?? String(thrown),
  );
}

/** The error of a promise that must be refused: a test fails when the promise is not. */
export function failureOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error('The promise should have been refused, and was not.');
    },
    (thrown: Error) => thrown,
  );
}
