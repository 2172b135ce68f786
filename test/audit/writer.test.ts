// Group commit over devices that fail honestly: /dev/full takes no byte, /dev/null cannot be synced.

import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { createGroupWriter } from '../../src/audit/writer.ts';

const PLACE = { seq: 1 };

async function writerOn(path: string) {
  const failures: unknown[] = [];
  const writer = createGroupWriter({
    handle: await open(path, 'a'),
    fsyncEveryMs: 1000,
    onFailure: (error) => failures.push(error),
    refusal: (cause) => cause as Error,
  });
  return { writer, failures };
}

describe.skipIf(!existsSync('/dev/full'))('a disk without room', () => {
  test('fails everybody who waits and everybody who comes later', async () => {
    const { writer, failures } = await writerOn('/dev/full');
    const waiting = await Promise.allSettled([
      writer.append('a', 'soon', PLACE),
      writer.append('b', 'fsync', PLACE),
      writer.append('c', 'soon', PLACE),
    ]);
    expect(waiting.map((each) => each.status)).toEqual(['rejected', 'rejected', 'rejected']);
    await expect(writer.append('d', 'soon', PLACE)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(failures).toEqual([expect.objectContaining({ code: 'ENOSPC' })]);
    await writer.close();
  });
});

describe('a sync that fails', () => {
  test('closes the writer for good, also for those who need no sync', async () => {
    const { writer, failures } = await writerOn('/dev/null');
    await writer.append('written', 'soon', PLACE);
    await expect(writer.append('to be synced', 'fsync', PLACE)).rejects.toMatchObject({ syscall: 'fdatasync' });
    await expect(writer.append('later', 'soon', PLACE)).rejects.toMatchObject({ syscall: 'fdatasync' });
    expect(failures).toHaveLength(1);
    await writer.close();
  });

  test('is noticed at closing by those who were promised it within the second', async () => {
    const { writer, failures } = await writerOn('/dev/null');
    await writer.append('written', 'soon', PLACE);
    await writer.close();
    expect(failures).toEqual([expect.objectContaining({ syscall: 'fdatasync' })]);
  });
});
