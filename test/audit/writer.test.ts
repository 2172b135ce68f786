// Group commit over devices that fail honestly: /dev/full takes no byte, /dev/null cannot be synced.

import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { createGroupWriter } from '../../src/audit/writer.ts';

async function writerOn(path: string) {
  const failures: unknown[] = [];
  const writer = createGroupWriter({ handle: await open(path, 'a'), fsyncEveryMs: 1000, onFailure: (error) => failures.push(error) });
  return { writer, failures };
}

describe.skipIf(!existsSync('/dev/full'))('a disk without room', () => {
  test('fails everybody who waits and everybody who comes later', async () => {
    const { writer, failures } = await writerOn('/dev/full');
    const waiting = await Promise.allSettled([writer.append('a', 'soon'), writer.append('b', 'fsync'), writer.append('c', 'soon')]);
    expect(waiting.map((each) => each.status)).toEqual(['rejected', 'rejected', 'rejected']);
    await expect(writer.append('d', 'soon')).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(failures).toEqual([expect.objectContaining({ code: 'ENOSPC' })]);
    await writer.close();
  });
});

describe('a sync that fails', () => {
  test('closes the writer for good, also for those who need no sync', async () => {
    const { writer, failures } = await writerOn('/dev/null');
    await writer.append('written', 'soon');
    await expect(writer.append('to be synced', 'fsync')).rejects.toMatchObject({ syscall: 'fdatasync' });
    await expect(writer.append('later', 'soon')).rejects.toMatchObject({ syscall: 'fdatasync' });
    expect(failures).toHaveLength(1);
    await writer.close();
  });

  test('is noticed at closing by those who were promised it within the second', async () => {
    const { writer, failures } = await writerOn('/dev/null');
    await writer.append('written', 'soon');
    await writer.close();
    expect(failures).toEqual([expect.objectContaining({ syscall: 'fdatasync' })]);
  });
});
