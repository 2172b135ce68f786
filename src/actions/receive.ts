// The first step of a call: one raw node:http request becomes an InboundRequest, or is refused. Trusts node's HTTP/1
// parser for what it is known to reject (CL with TE, bad lengths and chunks, bare line ends, folding, control
// characters). Refuses the rest of what proxies are tricked with: other forms of target, ambiguous paths, Host or
// framing, spoofable fields. The server has to listen to `checkContinue` with the same handler as to `request`, or node
// answers 100 before anybody is identified.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { EpochMs } from '../domain/clock.ts';
import { type HeaderList, header } from '../domain/headers.ts';
import type { InboundRequest, Peer, RequestBody } from '../domain/request.ts';
import { GatewayError } from '../errors.ts';
import { type BodyPace, EMPTY_BODY, openBody } from './body.ts';
import { acceptFields } from './fields.ts';
import { checkHost } from './host.ts';
import { checkTarget } from './path.ts';
import { readOffer } from './upgrade.ts';

export interface ReceiveOptions {
  /** Names the request in logs and problem documents. */
  readonly id: string;
  readonly receivedAt: EpochMs;
  /**
   * The authorities (host or host:port, lower case) that name this gateway, or `any`: then Host has only to be valid
   * and unique.
   */
  readonly hosts: ReadonlySet<string> | 'any';
  readonly pace?: BodyPace;
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/**
 * Checks one request and gives it the only form in which the gateway goes on with it. Nothing of the body is read.
 * `response` is undefined for an `upgrade` event, and only then may the request ask for a WebSocket; it may not carry a
 * body too. Other offers to upgrade are ignored (RFC 9110 section 7.8). Throws `method_not_allowed`, `bad_request`,
 * `bad_path`, `bad_header`, `bad_host`, `header_too_large`, `upgrade_refused`.
 */
export function receiveRequest(
  incoming: IncomingMessage,
  response: ServerResponse | undefined,
  options: ReceiveOptions,
): InboundRequest {
  const method = incoming.method ?? '';
  if (!METHODS.has(method)) throw new GatewayError('method_not_allowed', 'The gateway does not pass this method on.');
  const target = incoming.url ?? '';
  const { mount, path, query } = checkTarget(target);
  if (incoming.httpVersionMajor !== 1) throw new GatewayError('bad_request', 'This listener speaks HTTP/1.1.');
  const { headers, chunked, webSocket } = acceptFields(incoming.rawHeaders);
  checkHost(header(headers, 'host'), options.hosts);
  const body = frame(incoming, response, headers, chunked, options.pace ?? {});
  if (!body.empty && (method === 'GET' || method === 'HEAD'))
    throw new GatewayError('bad_request', 'A GET or HEAD request carries a body.');
  if (response === undefined) {
    if (!body.empty) throw new GatewayError('bad_request', 'A request to upgrade carries a body.');
  } else if (webSocket)
    throw new GatewayError(
      'upgrade_refused',
      'This request cannot be upgraded: it is not a bare GET on a connection of its own.',
    );
  const upgrade = response === undefined ? readOffer(headers) : undefined;
  return {
    id: options.id,
    receivedAt: options.receivedAt,
    method,
    target,
    mount,
    path,
    ...(query === undefined ? {} : { query }),
    ...(upgrade && { upgrade }),
    headers,
    body,
    peer: peerOf(incoming.socket),
    onClosed: (callback) => watchClose(incoming.socket, response, callback),
  };
}

/**
 * Whether node:http is to hand over the connection. What only offers another protocol is served as it is, and so is
 * what cannot be upgraded: then it is refused.
 */
export function isWebSocketHandshake({ method, headers }: IncomingMessage): boolean {
  const framed = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  return method === 'GET' && !framed && headers.upgrade?.toLowerCase() === 'websocket';
}

/**
 * The body as the framing fields announce it (RFC 9112 section 6). Node has rejected most nonsense; what is left is
 * refused here.
 */
function frame(
  incoming: IncomingMessage,
  response: ServerResponse | undefined,
  headers: HeaderList,
  chunked: boolean,
  pace: BodyPace,
): RequestBody {
  const declared = header(headers, 'content-length');
  const expect = header(headers, 'expect');
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    throw new GatewayError('bad_header', 'The Expect field asks for something unknown.');
  if (chunked && incoming.httpVersionMinor === 0)
    throw new GatewayError('bad_request', 'An HTTP/1.0 request has a Transfer-Encoding.');
  if (chunked && declared !== undefined)
    throw new GatewayError('bad_request', 'The request has both Content-Length and Transfer-Encoding.');
  const length = declared === undefined ? undefined : parseLength(declared);
  if (!chunked && (length === undefined || length === 0)) return EMPTY_BODY;
  return openBody({
    incoming,
    response,
    length,
    awaitsContinue: expect !== undefined && incoming.httpVersionMinor > 0,
    pace,
  });
}

/** `01` is a length to some servers and octal or an error to others. */
function parseLength(text: string): number {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text))
    throw new GatewayError('bad_header', 'The Content-Length is not a plain decimal number.');
  const length = Number(text);
  if (!Number.isSafeInteger(length))
    throw new GatewayError('bad_header', 'The Content-Length is not a plain decimal number.');
  return length;
}

const peers = new WeakMap<Socket, Peer>();

/** One Peer per connection. */
function peerOf(socket: Socket): Peer {
  const known = peers.get(socket);
  if (known !== undefined) return known;
  const certificates = socket instanceof TLSSocket ? certificatesOf(socket) : [];
  const peer: Peer = { address: socket.remoteAddress ?? '', ...(certificates.length > 0 && { certificates }) };
  peers.set(socket, peer);
  return peer;
}

/** More than any verifier accepts: what is beyond that need not be copied. */
const MAX_CERTIFICATES = 16;

/** What the client sent, in its order. Whether one certificate issued the next is for the verifier to find out. */
function certificatesOf(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  for (
    let next = socket.getPeerX509Certificate();
    next !== undefined && chain.length < MAX_CERTIFICATES;
    next = next.issuerCertificate
  )
    chain.push(next.raw);
  return chain;
}

/** A response closes when it is complete or when its connection is lost: only the second is the client going away. */
function watchClose(socket: Socket, response: ServerResponse | undefined, callback: () => void): () => void {
  const emitter = response ?? socket;
  let forgotten = false;
  const onClose = (): void => {
    if (!forgotten && (response === undefined || !response.writableFinished)) callback();
  };
  if (emitter.closed || socket.destroyed) queueMicrotask(onClose);
  else emitter.once('close', onClose);
  return () => {
    forgotten = true;
    emitter.off('close', onClose);
  };
}
