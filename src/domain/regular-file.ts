// Reading a file that somebody else may put in place: only a regular file, and never more of it than it may have. A
// FIFO would keep the reader for ever, a device has no end, and a folder is no file; each is refused with a code, at
// once.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * `code` says what is wrong: `NOT_A_FILE`, `FILE_TOO_LARGE`. What the system says (`ENOENT`, `EACCES`, `ELOOP`) is
 * thrown as it is.
 */
export class FileFault extends Error {
  override readonly name = 'FileFault';
  readonly code: 'NOT_A_FILE' | 'FILE_TOO_LARGE';
  constructor(code: FileFault['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** Not blocking: opening a FIFO for reading waits for its writer otherwise. Meaningless for a regular file. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

function check(isFile: boolean, size: number, most: number): void {
  if (!isFile) throw new FileFault('NOT_A_FILE', 'It is not a regular file.');
  if (size > most) throw new FileFault('FILE_TOO_LARGE', `It has ${size} bytes, and may have ${most}.`);
}

const CHUNK = 64 * 1024;

/** Throws FileFault, or what the system says. */
export async function readRegularFile(path: string, most: number): Promise<Buffer> {
  const handle = await open(path, FLAGS);
  try {
    const stat = await handle.stat();
    check(stat.isFile(), stat.size, most);
    // Some files say that they have 0 bytes and have more (/proc), and one may grow while it is read: what counts is
    // what is read.
    const pieces: Buffer[] = [];
    for (let length = 0; ; ) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, length);
      if (bytesRead === 0) return Buffer.concat(pieces);
      pieces.push(buffer.subarray(0, bytesRead));
      length += bytesRead;
      check(true, length, most);
    }
  } finally {
    await handle.close();
  }
}

/** As readRegularFile, for what has to be there at once. */
export function readRegularFileSync(path: string, most: number): Buffer {
  const fd = openSync(path, FLAGS);
  try {
    const stat = fstatSync(fd);
    check(stat.isFile(), stat.size, most);
    const pieces: Buffer[] = [];
    for (let length = 0; ; ) {
      const buffer = Buffer.allocUnsafe(CHUNK);
      const count = readSync(fd, buffer, 0, CHUNK, length);
      if (count === 0) return Buffer.concat(pieces);
      pieces.push(buffer.subarray(0, count));
      length += count;
      check(true, length, most);
    }
  } finally {
    closeSync(fd);
  }
}
