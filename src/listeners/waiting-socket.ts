// The connection of a request to upgrade, from its arrival until a handler takes it. node:http no longer watches it: an
// agent that leaves closes the socket, which ends its call. What the agent sends early is kept for the handler, within
// a bound.

import type { Socket } from 'node:net';

/** Nothing may be sent before the handshake's answer (RFC 6455 section 4.1); some clients do so all the same. */
const EARLY_BYTES = 64 * 1024;

export class WaitingSocket {
  readonly #socket: Socket;
  readonly #early: Buffer[];
  #size: number;
  #released = false;

  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    this.#early = [head];
    this.#size = head.byteLength;
    // It stays: whoever has the socket later may not listen.
    socket.on('error', () => {});
    socket.on('readable', this.#read).on('end', this.#left);
  }

  /** Ends the watch. Gives what followed the head; nothing the second time. */
  release(): Buffer {
    if (this.#released) return Buffer.alloc(0);
    this.#released = true;
    this.#socket.off('readable', this.#read).off('end', this.#left);
    return Buffer.concat(this.#early);
  }

  readonly #read = (): void => {
    for (let piece: Buffer | null = this.#socket.read(); piece !== null; piece = this.#socket.read()) {
      this.#early.push(piece);
      this.#size += piece.byteLength;
    }
    if (this.#size > EARLY_BYTES) this.#socket.destroy();
  };

  readonly #left = (): void => {
    this.#socket.destroy();
  };
}
