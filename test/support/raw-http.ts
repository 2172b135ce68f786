// Sends bytes over a plain TCP connection, the way no HTTP client would, and reads whatever comes back until the server
// closes.

import { connect } from 'node:net';

export interface RawAnswer {
  /** Everything the server sent, as latin1. */
  readonly text: string;
  /** Status of the first response; 0 when there was none. */
  readonly status: number;
  /** Body of the first response when it has a Content-Length; otherwise what follows its header section. */
  readonly body: string;
}

/**
 * Writes `pieces` one after the other and resolves when the connection ends. Text is sent as latin1. Ask for
 * `Connection: close`.
 */
export function sendRaw(port: number, ...pieces: readonly (string | Uint8Array)[]): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => {
      for (const piece of pieces) socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
    });
    socket.on('data', (chunk) => received.push(chunk));
    // A reset after the answer is one of the ways in which a server closes.
    socket.on('error', () => {});
    socket.on('close', () => resolve(parseAnswer(Buffer.concat(received).toString('latin1'))));
  });
}

function parseAnswer(text: string): RawAnswer {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
  const end = text.indexOf('\r\n\r\n');
  const head = text.slice(0, end);
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  const body = end < 0 ? '' : text.slice(end + 4, length === undefined ? undefined : end + 4 + Number(length));
  return { text, status, body };
}
