// Passes a WebSocket upgrade that the pipeline has cleared. http-proxy-3 makes the request and joins the two sockets;
// every field it sends is one that we built, the address guard and TLS rules are those of the forwarder, and the
// answer's head is filtered before the agent sees it. Refuses anything that is not a bare GET upgrade, upstreams
// without websocket: true, and answers other than 101. Frames are not scrubbed.

import { hash } from 'node:crypto';
import { type ClientRequest, Agent as HttpAgent, type IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { createProxyServer } from 'http-proxy-3';
import type { HeaderList } from '../domain/headers.ts';
import type { Metrics } from '../domain/metrics.ts';
import type { Outgoing, Upgrade, WebSocketPass } from '../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../errors.ts';
import { type Progress, upstreamFault } from './faults.ts';
import { targetOf } from './forward.ts';
import { upstreamFields, upstreamTarget } from './request-headers.ts';
import { answerHead } from './response-headers.ts';
import { scrubberFor } from './scrub/scrubber.ts';
import { type Target, type Targets, tlsOptions } from './targets.ts';

export interface WebSocketPassOptions {
  readonly targets: Targets;
  readonly metrics: Metrics;
}

const NOTHING = Buffer.alloc(0);
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function createWebSocketPass({ targets, metrics }: WebSocketPassOptions): WebSocketPass {
  const open = new Set<Socket>();
  return {
    async pass(upgrade, outgoing) {
      const { incoming, socket } = upgrade;
      const target = ready(targets, incoming, outgoing);
      const startedAt = performance.now();
      const count = (status?: number, error?: GatewayError) =>
        metrics.upstream(target.options.name, 'GET', status, error?.code, (performance.now() - startedAt) / 1000);
      try {
        const upstreamSocket = await handshake(upgrade, outgoing, target);
        count(101);
        open.add(socket);
        await bothClosed(socket, upstreamSocket);
        open.delete(socket);
        return { status: 101, complete: true };
      } catch (thrown) {
        // What the handshake did not fail with itself was thrown before there was a connection.
        const error = asGatewayError(thrown).knowing('no');
        count(undefined, error);
        throw error;
      }
    },
    close() {
      for (const socket of open) socket.destroy();
    },
  };
}

/** When one side ends, the other is ended too. Half-open pairs would stay for ever. */
function bothClosed(socket: Socket, upstreamSocket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      upstreamSocket.destroy();
      resolve();
    };
    upstreamSocket.once('close', () => socket.destroySoon());
    socket.once('close', end);
    if (socket.destroyed) end();
  });
}

/** Where the upgrade goes. Nothing has been sent when this throws. */
function ready(targets: Targets, incoming: IncomingMessage, outgoing: Outgoing): Target {
  try {
    const target = targetOf(targets, outgoing);
    checkUpgrade(incoming, target);
    if (outgoing.credential?.injection.in === 'signature') {
      throw new GatewayError(
        'upgrade_refused',
        'The upstream’s credential signs requests; an upgrade cannot be signed.',
      );
    }
    return target;
  } catch (thrown) {
    throw asGatewayError(thrown).knowing('no');
  }
}

function checkUpgrade({ method, headers }: IncomingMessage, { options }: Target): void {
  if (!options.websocket) throw new GatewayError('upgrade_refused', 'This upstream takes no WebSocket connections.');
  const framed = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  const key = headers['sec-websocket-key'];
  if (method !== 'GET' || framed || headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    throw new GatewayError(
      'upgrade_refused',
      'Only a GET with a WebSocket handshake and without a body can be upgraded.',
    );
  }
}

/** Resolves with the upstream's socket once both are joined. */
function handshake({ incoming, socket, release }: Upgrade, outgoing: Outgoing, target: Target): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { connectTimeoutMs, headersTimeoutMs } = target.options;
    let progress: Progress = 'waiting';
    let made: ClientRequest | undefined;
    let failed = false;
    const settle = (): void => {
      clearTimeout(timer);
      forget();
    };
    const fail = (thrown: unknown): void => {
      failed = true;
      settle();
      reject(upstreamFault(thrown, progress));
      made?.destroy();
    };
    const late = (): void =>
      fail(new GatewayError('upstream_timeout', 'The upstream did not answer the upgrade in time.'));
    const timer = headersTimeoutMs > 0 ? setTimeout(late, connectTimeoutMs + headersTimeoutMs) : undefined;
    let forget = (): void => {};

    const path = upstreamTarget(outgoing);
    const request = upgradeRequest(incoming, socket, path, outgoing, target);
    // One server per connection: its events and errors are this call's alone. `toProxy` keeps it from normalising the
    // path.
    const proxy = createProxyServer({
      target: target.url.origin,
      agent: agentFor(target),
      prependPath: false,
      toProxy: true,
      secure: true,
    });
    proxy.on('error', fail);
    proxy.on('proxyReqWs', (created) => {
      made = created;
    });
    proxy.on('open', (upstreamSocket) => {
      settle();
      resolve(upstreamSocket);
    });
    proxy.ws(request, socket, NOTHING, { connectTimeout: connectTimeoutMs });
    if (made === undefined || made.path !== path) {
      fail(new GatewayError('bad_path', 'The request target cannot be forwarded as it is.'));
      return;
    }
    made.once('socket', (connection) => {
      connection.once(target.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        progress = 'sent';
      });
    });
    gate(made, request, outgoing, fail, () => {
      if (failed) return false;
      const early = release();
      if (early.byteLength > 0) socket.unshift(early);
      return true;
    });
    forget = outgoing.request.onClosed(() =>
      fail(new GatewayError('client_closed', 'The agent went away during the upgrade.')),
    );
  });
}

/**
 * Stands before http-proxy-3's own listeners: it would relay any answer unfiltered, would not look at the acceptance,
 * and would close the agent's socket on an error, so that nobody could answer on it any more.
 */
function gate(
  made: ClientRequest,
  request: IncomingMessage,
  outgoing: Outgoing,
  fail: (thrown: unknown) => void,
  /** False when the two must not be joined any more. */
  beforeJoining: () => boolean,
): void {
  const join = made.listeners('upgrade');
  made.removeAllListeners('upgrade').removeAllListeners('response').removeAllListeners('error');
  made.on('error', fail);
  made.on('response', ({ statusCode }) => {
    fail(
      new GatewayError('upstream_protocol', 'The upstream did not switch to WebSocket.', {
        members: { upstreamStatus: statusCode },
      }),
    );
  });
  made.on('upgrade', (answer, upstreamSocket, upstreamHead) => {
    upstreamSocket.on('error', () => {});
    try {
      answer.headers = switchingFields(answer, request, outgoing);
    } catch (thrown) {
      upstreamSocket.destroy();
      fail(thrown);
      return;
    }
    const open = (): void => {
      if (beforeJoining()) for (const listener of join) listener.call(made, answer, upstreamSocket, upstreamHead);
      else upstreamSocket.destroy();
    };
    const refuse = (thrown: unknown): void => {
      upstreamSocket.destroy();
      fail(thrown);
    };
    if (outgoing.beforeOpening === undefined) open();
    else outgoing.beforeOpening().then(open).catch(refuse);
  });
}

/** What http-proxy-3 copies into its request: our fields and nothing of the agent's that the filter does not know. */
function upgradeRequest(
  incoming: IncomingMessage,
  socket: Socket,
  path: string,
  outgoing: Outgoing,
  target: Target,
): IncomingMessage {
  const request = new IncomingMessage(socket);
  const own = [
    'host',
    target.authority,
    'connection',
    'Upgrade',
    'upgrade',
    'websocket',
    ...handshakeFields(incoming, outgoing),
  ];
  return Object.assign(request, {
    method: 'GET',
    url: path,
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    headers: toRecord([...own, ...upstreamFields(outgoing, target.options, false)]),
  });
}

/** The agent's key, and the offer that was decided on (RFC 6455 section 4.1). */
function handshakeFields({ headers }: IncomingMessage, { action }: Outgoing): string[] {
  const { subprotocols = [], extensions = [] } = action.upgrade ?? {};
  return [
    ...['sec-websocket-key', String(headers['sec-websocket-key']), 'sec-websocket-version', '13'],
    ...(subprotocols.length > 0 ? ['sec-websocket-protocol', subprotocols.join(', ')] : []),
    ...(extensions.length > 0 ? ['sec-websocket-extensions', extensions.join(', ')] : []),
  ];
}

/** What the upstream chose that was not offered, as a sentence: nobody decided on that. */
function choiceFault(headers: IncomingHttpHeaders, { action }: Outgoing): string | undefined {
  const { subprotocols = [], extensions = [] } = action.upgrade ?? {};
  const chosen = headers['sec-websocket-protocol'];
  if (chosen !== undefined && !subprotocols.includes(chosen))
    return 'The upstream chose a subprotocol that was not offered.';
  const nameOf = (extension: string): string => (extension.split(';', 1)[0] ?? '').trim().toLowerCase();
  const offered = new Set(extensions.map(nameOf));
  const used = String(headers['sec-websocket-extensions'] ?? '')
    .split(',')
    .map(nameOf);
  return used.every((name) => name === '' || offered.has(name))
    ? undefined
    : 'The upstream chose an extension that was not offered.';
}

/**
 * The fields of the 101 for the agent. Throws `upstream_protocol` unless the upstream proves that it read this very
 * handshake (RFC 6455 section 4.1).
 */
function switchingFields(
  { headers }: IncomingMessage,
  request: IncomingMessage,
  outgoing: Outgoing,
): IncomingHttpHeaders {
  const accept = hash('sha1', `${request.headers['sec-websocket-key']}${WEBSOCKET_GUID}`, 'base64');
  if (headers['sec-websocket-accept'] !== accept || headers.upgrade?.toLowerCase() !== 'websocket') {
    throw new GatewayError('upstream_protocol', 'The upstream’s acceptance of the WebSocket handshake is not valid.');
  }
  const fault = choiceFault(headers, outgoing);
  if (fault !== undefined) throw new GatewayError('upstream_protocol', fault);
  const { credential, responseHeaders } = outgoing;
  const filtered = answerHead(headers, responseHeaders, credential && scrubberFor(credential)).headers;
  return toRecord(['connection', 'Upgrade', 'upgrade', 'websocket', ...filtered]);
}

function agentFor(target: Target): HttpAgent {
  const { lookup, options } = target;
  return target.url.protocol === 'https:'
    ? new HttpsAgent({ lookup, ...tlsOptions(options) })
    : new HttpAgent({ lookup });
}

/** Single values stay strings: node:http reads Host and Upgrade as such. */
function toRecord(fields: HeaderList): NodeJS.Dict<string | string[]> {
  const record: NodeJS.Dict<string | string[]> = Object.create(null);
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const known = record[name];
    record[name] = known === undefined ? value : [known, value].flat();
  }
  return record;
}
