// How a connection keeps its order and how it ends, the same on every listener. Answers leave in the order of their
// requests. A refusal that belongs to no request comes after them. A connection is closed only after its client had
// time to read what was written (RFC 9112 section 9.6), within bounds. Every socket that node:http hands over gets an
// error listener first.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { GatewayError } from '../errors.ts';
import { problem } from '../problem.ts';

/**
 * Bounds after the last answer. What the client still sends is thrown away until the client ends, is silent, or has
 * sent or read too much.
 */
const LINGER_SILENCE_MS = 3_000;
const LINGER_MS = 20_000;
const LINGER_BYTES = 64 * 1024 * 1024;

/**
 * The answer to the last request of each connection, and the unfinished ones before it where requests were pipelined.
 */
const latest = new WeakMap<Socket, ServerResponse>();
const before = new WeakMap<ServerResponse, ServerResponse>();
/** No further request is taken from these. */
const ending = new WeakSet<Socket>();
const lingering = new WeakSet<Socket>();

const ignore = (): void => {};

/** Keeps the order and ends connections properly on this server. The handler of its requests calls `isTaken` first. */
export function keepConnectionsInOrder(server: Server): void {
  server.on('connect', (_incoming: IncomingMessage, socket: Socket) => {
    socket.on('error', ignore);
    const error = new GatewayError('method_not_allowed', 'CONNECT is not offered here.');
    if (abandon(socket)) socket.destroy();
    else refuseSocket(socket, error);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    socket.on('error', ignore);
    refuseInOrder(socket, parseFault(error));
  });
}

/** To be called once for each connection. */
export function endInOrder(socket: Socket): void {
  // node:http ends connections by this method: after `Connection: close` it would reset those whose client is still
  // sending.
  socket.destroySoon = () => linger(socket);
}

/**
 * Notes that an answer is owed. False for a request behind one that ends the connection: it gets no answer and must
 * have no effect. An upgrade that is not taken ends the connection too, because node:http loses what came behind it in
 * the same packet.
 */
export function isTaken(incoming: IncomingMessage, response: ServerResponse): boolean {
  const { socket } = incoming;
  if (ending.has(socket)) return false;
  const previous = owedOn(socket);
  if (previous !== undefined) before.set(response, previous);
  latest.set(socket, response);
  if (incoming.headers.upgrade !== undefined) {
    ending.add(socket);
    response.shouldKeepAlive = false;
  }
  return true;
}

/** The last answer that is still owed on this connection. */
export function owedOn(socket: Socket): ServerResponse | undefined {
  const response = latest.get(socket);
  return response === undefined || response.writableFinished ? undefined : response;
}

/** Whether the client is still sending the body of this request: an answer now has to end the connection. */
export function isSending(incoming: IncomingMessage): boolean {
  return !incoming.complete && !isBodyless(incoming);
}

/** Asked only while the message is not complete, which it is not either in the turn in which its head arrived. */
function isBodyless({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
}

/** Writes a refusal that belongs to no request, and ends the connection. */
export function refuseSocket(socket: Socket, error: GatewayError): void {
  if (!socket.writable || lingering.has(socket)) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = problem(error, { requestId: randomUUID() });
  const lines = [`HTTP/1.1 ${status} ${error.code}`];
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  lines.push(`content-length: ${Buffer.byteLength(body)}`, 'connection: close', '', body);
  socket.write(lines.join('\r\n'));
  linger(socket);
}

/**
 * Ends the writing side, and gives the client time to read. If the socket were closed at once, bytes that the client
 * sent and nobody read would reset the connection.
 */
export function linger(socket: Socket): void {
  if (lingering.has(socket)) return;
  lingering.add(socket);
  ending.add(socket);
  if (socket.destroyed) return;
  let bytes = 0;
  // From here on the parser gets nothing: it would take what follows for further requests. The socket is still read.
  for (const event of ['data', 'end', 'readable', 'pause', 'resume']) socket.removeAllListeners(event);
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > LINGER_BYTES) socket.destroy();
  });
  const limit = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(limit));
  socket.setTimeout(LINGER_SILENCE_MS, () => socket.destroy());
  socket.end();
  // A body that nobody read has stopped the socket underneath its stream. This has the stream ask again.
  socket.push('');
  socket.resume();
}

/** True when the connection has had its last answer and only waits for its client to leave. */
export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}

/**
 * After a parse error nothing that follows on the connection can be trusted. The answers that are owed go out, and then
 * the connection ends.
 */
function refuseInOrder(socket: Socket, error: GatewayError): void {
  const owed = owedOn(socket);
  if (!socket.writable || owed === undefined) refuseSocket(socket, error);
  else if (owed.req.complete) {
    if (ending.has(socket)) return;
    ending.add(socket);
    // The parser has stopped, so it does not notice when the client leaves.
    socket.once('end', () => socket.destroy());
    owed.once('close', () => refuseSocket(socket, error));
  }
  // The fault is in the body of the request that `owed` is to answer.
  else if (owed.socket === socket && !owed.headersSent) refuseSocket(socket, error);
  else socket.destroy();
}

/**
 * Ends the answers that are owed on a connection that node:http has detached: node:http would not tell them that the
 * connection is gone.
 */
function abandon(socket: Socket): boolean {
  const owed = owedOn(socket);
  for (let next = owed; next !== undefined; next = before.get(next)) next.destroy();
  return owed !== undefined;
}

/** What node:http refused before there was a request. */
function parseFault(error: NodeJS.ErrnoException): GatewayError {
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return new GatewayError('header_too_large', 'The header section is larger than limits.header.');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new GatewayError('request_timeout', 'The head of the request did not arrive in time.');
  return new GatewayError('bad_request', 'The bytes on this connection are not one well-formed HTTP/1.1 request.');
}
