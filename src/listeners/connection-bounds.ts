// The connections of a listener: how many there may be, and how much one of them may have under way. A full listener
// closes an idle connection for a new one. It first takes one whose client was never identified, so that a stranger who
// opens thousands displaces only strangers. Requests that a client pipelines are served one after the other. Beyond a
// few of them nothing more is read from the connection.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isTaken } from './connection.ts';

export type RequestListener = (incoming: IncomingMessage, response: ServerResponse) => void;

/** Requests that wait for their turn before reading stops. */
const READ_AHEAD = 16;
/** Node hands over what it has read at once: short requests come in such numbers that keeping them costs memory. */
const MOST_WAITING = 256;
/** Connections that are looked at to find one that is idle. */
const LOOKS = 64;

interface Connection {
  /** What is destroyed to end it: under TLS the encrypted socket, once the handshake is done. */
  socket: Socket;
  /** The group that it is in: strangers, or those whose client was identified once. */
  group: Set<Connection>;
  /** The answer to the request that was taken last. */
  last: ServerResponse | undefined;
  /** Whether a caller was identified on it. */
  proved: boolean;
  /** Whether a request came since room was looked for last. */
  used: boolean;
  /** Requests that were sent ahead. */
  readonly waiting: (() => void)[];
  paused: boolean;
}

const connections = new WeakMap<Socket, Connection>();

/**
 * Keeps the connections of a server, which must not listen yet, to `most`. `turnedAway` is called for each that found
 * none idle.
 */
export function boundConnections(server: Server, most: number, turnedAway: () => void): void {
  const strangers = new Set<Connection>();
  const callers = new Set<Connection>();
  const handshakes = new Map<string, Connection>();

  // First of all listeners: what is turned away costs no parser and no handshake.
  server.prependListener('connection', (socket: Socket) => {
    const connection: Connection = {
      socket,
      group: strangers,
      last: undefined,
      proved: false,
      used: false,
      waiting: [],
      paused: false,
    };
    connections.set(socket, connection);
    const name = nameOf(socket);
    handshakes.set(name, connection);
    socket.once('close', () => {
      handshakes.delete(name);
      connection.group.delete(connection);
    });
    if (strangers.size + callers.size >= most && !displaceOne()) {
      socket.destroy();
      turnedAway();
    } else strangers.add(connection);
  });
  // Requests come on the TLS socket.
  server.on('secureConnection', (socket: Socket) => {
    const connection = handshakes.get(nameOf(socket));
    if (connection === undefined) return;
    connections.set(socket, connection);
    connection.socket = socket;
  });

  function displaceOne(): boolean {
    const idle = idleStranger() ?? idleCaller();
    idle?.socket.destroy();
    return idle?.group.delete(idle) === true;
  }

  function idleStranger(): Connection | undefined {
    for (const connection of firstOf(strangers)) {
      if (!connection.proved && isIdle(connection)) return connection;
      strangers.delete(connection);
      if (connection.proved) connection.group = callers;
      connection.group.add(connection);
    }
    return undefined;
  }

  /**
   * About the connection that was idle longest: one that was used since the last look moves to the end of its group.
   */
  function idleCaller(): Connection | undefined {
    let recent: Connection | undefined;
    for (const connection of firstOf(callers)) {
      const idle = isIdle(connection);
      if (idle && !connection.used) return connection;
      if (idle) recent ??= connection;
      connection.used = false;
      callers.delete(connection);
      callers.add(connection);
    }
    return recent;
  }
}

/** A client that does not read its answer counts as idle: nothing is under way for it any more. */
function isIdle({ last, waiting }: Connection): boolean {
  return waiting.length === 0 && (last === undefined || last.writableEnded || last.destroyed);
}

/** A bounded walk over a group whose members may move on the way. */
function* firstOf(group: Set<Connection>): Generator<Connection> {
  let looks = Math.min(group.size, LOOKS);
  for (const connection of group) {
    if (looks-- === 0) return;
    yield connection;
  }
}

function nameOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

/**
 * A listener that takes the requests of one connection one after the other: the next when the answer to the one before
 * it is out, or never.
 */
export function inTurn(listener: RequestListener): RequestListener {
  return (incoming, response) => {
    if (!isTaken(incoming, response)) return;
    const connection = connections.get(incoming.socket);
    if (connection === undefined) return listener(incoming, response);
    const { last, waiting } = connection;
    if (waiting.length === 0 && (last === undefined || last.writableFinished || last.destroyed)) {
      connection.last = response;
      connection.used = true;
      listener(incoming, response);
    } else sentAhead(connection, incoming.socket, response, () => listener(incoming, response));
  };
}

function sentAhead(connection: Connection, socket: Socket, response: ServerResponse, take: () => void): void {
  const { waiting, last } = connection;
  if (waiting.length === MOST_WAITING) {
    socket.destroy();
    return;
  }
  waiting.push(() => {
    connection.last = response;
    take();
  });
  if (waiting.length === 1) last?.once('close', () => takeNext(connection, socket));
  if (waiting.length === READ_AHEAD && !connection.paused) {
    connection.paused = true;
    // Node resumes the socket for each request that is in what it has read already.
    socket.on('resume', pauseAgain).pause();
  }
}

function takeNext(connection: Connection, socket: Socket): void {
  const { waiting } = connection;
  // After an answer that closes the connection, nobody would hear the result of the remaining requests. They are not
  // served.
  if (socket.destroyed || !socket.writable) {
    waiting.length = 0;
    return;
  }
  waiting.shift()?.();
  if (waiting.length > 0) connection.last?.once('close', () => takeNext(connection, socket));
  else if (connection.paused) {
    connection.paused = false;
    socket.off('resume', pauseAgain).resume();
  }
}

function pauseAgain(this: Socket): void {
  this.pause();
}

/** True until `markProved`. */
export function isStranger(socket: Socket): boolean {
  return connections.get(socket)?.proved === false;
}

/** A caller was identified on this connection. A full listener closes the connections of strangers before this one. */
export function markProved(socket: Socket): void {
  const connection = connections.get(socket);
  if (connection !== undefined) connection.proved = true;
}

/** For a request outside the order, such as an upgrade: the connection counts as busy until this response has ended. */
export function keepBusy(socket: Socket, response: ServerResponse): void {
  const connection = connections.get(socket);
  if (connection !== undefined) connection.last = response;
}
