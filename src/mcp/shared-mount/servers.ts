// The servers of a shared mount as one call sees them: their sessions, opened where needed, and their answers. A server
// that fails or is slow is noted as missing, in the log and in the call's record. The others do not wait for it.

import { randomUUID } from 'node:crypto';
import { type HeaderList, header, withoutField } from '../../domain/headers.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { Logger } from '../../domain/log.ts';
import type { Mount } from '../../domain/mount.ts';
import type { RuntimeConfig } from '../../domain/runtime-config.ts';
import { readUpstreamName, sharedServerName } from '../../domain/server-names.ts';
import type { Armed } from '../../domain/stages.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import { wrapSink } from '../../domain/wrap-sink.ts';
import { ERRORS, GatewayError } from '../../errors.ts';
import { withoutMark } from '../read-message.ts';
import { lastPlace } from './events.ts';
import { readServerSession, type ServerSession, type SharedSession, type SharedSessions } from './session.ts';
import type { Reply, Subcalls } from './subcalls.ts';

export interface SharedServers {
  /** Names of the servers that share a call's mount, in the order of the configuration. */
  names(armed: Armed): readonly string[];
  /** The message to one server, in its session. Never rejects, and never takes longer than `withinMs`. */
  ask(armed: Armed, server: string, message: JsonObject): Promise<Reply>;
  /** Ends the session with one server. */
  end(armed: Armed, server: string): Promise<void>;
  /** One server's event stream, until it ends or the agent goes away. */
  follow(armed: Armed, server: string, headers: HeaderList, sink: ResponseSink): Promise<void>;
  /** Opens a session with a server by the agent's own initialize message. */
  initialize(
    armed: Armed,
    server: string,
    message: JsonObject,
    requested: string,
  ): Promise<{ readonly reply: Reply; readonly session?: ServerSession }>;
  /** For a call to one server: its session is open afterwards. Throws `upstream_unreachable`. */
  ready(armed: Armed): Promise<void>;
  /** The fields of the server's own session, in place of the agent's. */
  sessionFields(armed: Armed): HeaderList;
  /**
   * The sink for a server's answer to one call. It removes the server's session id, and tells the agent when the server
   * has forgotten the session.
   */
  sinkOf(armed: Armed, sink: ResponseSink, forgotten: (status: number) => JsonObject): ResponseSink;
  /** Notes servers that had no part in an answer. */
  missing(armed: Armed, replies: ReadonlyMap<string, Reply>): readonly MissingServer[];
}

export interface MissingServer {
  readonly server: string;
  readonly error: string;
}

export interface SharedServersParts {
  readonly sessions: SharedSessions;
  readonly subcalls: Subcalls;
  readonly log: Logger;
  /** What is in force now. */
  runtime(): RuntimeConfig;
  /** How long each server of this mount is waited for, ms. */
  withinMs(mount: string): number;
}

/** JSON-RPC: the server does not have this method, so it has nothing to add. */
const NO_SUCH_METHOD = -32601;
/**
 * How servers answer for an unknown session: MCP asks for 404; servers made after the examples of the SDK answer 400
 * with this code.
 */
const NO_SUCH_SESSION = -32000;

type Refusal = {
  readonly error?: { readonly code?: unknown; readonly data?: { readonly code?: unknown } | null } | null;
};

function isForgotten(status: number, body: Uint8Array | string | undefined): boolean {
  if (status !== 400 || body === undefined || body.length > LARGEST_REFUSAL) return status === 404;
  try {
    const { error } = JSON.parse(withoutMark(Buffer.from(body as string).toString('utf8'))) as Refusal;
    // The gateway uses this number too, in place of an answer that it could not read.
    return error?.code === NO_SUCH_SESSION && error.data?.code !== 'upstream_protocol';
  } catch {
    return false;
  }
}

const LARGEST_REFUSAL = 64 * 1024;

export function createSharedServers({ sessions, subcalls, log, runtime, withinMs }: SharedServersParts): SharedServers {
  const opening = new Map<string, Promise<Reply | undefined>>();
  const addressOf = (upstream: string): string | undefined => urlOf(runtime().mounts.get(upstream));
  const mountOf = ({ action }: Armed): string => readUpstreamName(action.upstream).mount;

  async function initialize(armed: Armed, server: string, message: JsonObject, requested: string) {
    const mount = mountOf(armed);
    const without = ['mcp-session-id', 'mcp-protocol-version'];
    const reply = await subcalls.ask(armed, { mount, server, method: 'POST', message, without }, withinMs(mount));
    const address = addressOf(sharedServerName(mount, server));
    const session =
      address === undefined || reply.result === undefined
        ? undefined
        : readServerSession(reply.result, header(reply.headers, 'mcp-session-id'), requested, address);
    return { reply, ...(session && { session }) };
  }

  async function openLater(armed: Armed, server: string, session: SharedSession): Promise<Reply | undefined> {
    const { protocolVersion } = session.client;
    const message = {
      jsonrpc: '2.0',
      id: `countersign-${randomUUID()}`,
      method: 'initialize',
      params: { ...session.client },
    };
    const opened = await initialize(armed, server, message, protocolVersion);
    if (opened.session === undefined) return unusable(opened.reply);
    sessions.put(session, server, opened.session);
    const mount = mountOf(armed);
    await subcalls.ask(
      armed,
      { mount, server, method: 'POST', message: { jsonrpc: '2.0', method: 'notifications/initialized' } },
      withinMs(mount),
    );
    return undefined;
  }

  const isOpen = (armed: Armed, session: SharedSession, server: string): boolean =>
    sessions.current(session, server, addressOf(sharedServerName(mountOf(armed), server))) !== undefined;

  /**
   * The reason why there is no session with the server. Undefined when there is one, or none is needed. Two calls that
   * find it closed open it once.
   */
  async function ensure(armed: Armed, server: string): Promise<Reply | undefined> {
    const session = sessions.of(armed.request);
    if (session === undefined || isOpen(armed, session, server)) return undefined;
    const key = `${session.nonce} ${server}`;
    const underway = opening.get(key) ?? openLater(armed, server, session).finally(() => opening.delete(key));
    opening.set(key, underway);
    return underway;
  }

  async function ask(armed: Armed, server: string, message: JsonObject): Promise<Reply> {
    const mount = mountOf(armed);
    const session = sessions.of(armed.request);
    const attempt = async (): Promise<Reply> => {
      // A notification is no reason to open a session.
      if (message.id === undefined && session !== undefined && !isOpen(armed, session, server)) return NO_ANSWER;
      return (
        (await ensure(armed, server)) ??
        subcalls.ask(armed, { mount, server, method: 'POST', message }, withinMs(mount))
      );
    };
    const first = await attempt();
    if (session === undefined || (first.status !== 404 && first.status !== 400) || message.id === undefined)
      return first;
    sessions.forget(session, server);
    // These messages only read. A server that did not know the session has done nothing, so asking again does nothing
    // twice.
    return attempt();
  }

  /** Bounds the whole exchange in time, however many steps it takes. */
  async function askInTime(armed: Armed, server: string, message: JsonObject): Promise<Reply> {
    const { promise: late, resolve } = Promise.withResolvers<Reply>();
    const timer = setTimeout(() => resolve(NO_ANSWER), withinMs(mountOf(armed)));
    try {
      return await Promise.race([ask(armed, server, message), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    names: (armed) =>
      [...runtime().mounts.keys()].flatMap((name) =>
        name.startsWith(`${mountOf(armed)}/`) ? [readUpstreamName(name).server as string] : [],
      ),
    ask: askInTime,
    initialize,
    async end(armed, server) {
      const mount = mountOf(armed);
      const session = sessions.of(armed.request);
      const current = session && sessions.current(session, server, addressOf(sharedServerName(mount, server)));
      if (current?.id !== undefined) await subcalls.ask(armed, { mount, server, method: 'DELETE' }, withinMs(mount));
    },
    async follow(armed, server, headers, sink) {
      if ((await ensure(armed, server)) === undefined)
        await subcalls.follow(armed, { mount: mountOf(armed), server, method: 'GET', headers }, sink);
    },
    async ready(armed) {
      const { server } = readUpstreamName(armed.action.upstream);
      if (server === undefined || armed.action.method === 'DELETE') return;
      if ((await ensure(armed, server)) !== undefined)
        throw new GatewayError(
          'upstream_unreachable',
          'The server did not open a session, so the call was not sent to it.',
        );
    },
    sessionFields(armed) {
      const { server } = readUpstreamName(armed.action.upstream);
      const session = sessions.of(armed.request);
      if (server === undefined || session === undefined) return [];
      const current = sessions.current(session, server, urlOf(armed.mount));
      const place = lastPlace(armed.request.headers);
      // An empty value removes the agent's field, which has a meaning for the gateway alone.
      const resume = ['last-event-id', place?.of === 'answer' && place.server === server ? place.id : ''];
      return [
        'mcp-session-id',
        current?.id ?? '',
        ...(current === undefined ? [] : ['mcp-protocol-version', current.protocolVersion]),
        ...resume,
      ];
    },
    sinkOf(armed, sink, forgotten) {
      const { server = '' } = readUpstreamName(armed.action.upstream);
      const session = sessions.of(armed.request);
      const opens = armed.action.mcp?.method === 'initialize';
      return withoutSessionId(sink, opens, (status, body) => {
        // A server without a session cannot forget one.
        const had = session && sessions.current(session, server, urlOf(armed.mount))?.id !== undefined;
        if (session === undefined || !had || !isForgotten(status, body)) return undefined;
        sessions.forget(session, server);
        return armed.call.subcall === undefined && armed.action.mcp?.id !== undefined
          ? JSON.stringify(forgotten(status))
          : undefined;
      });
    },
    missing(armed, replies) {
      const gone = [...replies].flatMap(([server, reply]) =>
        reply.result !== undefined || reply.error?.code === NO_SUCH_METHOD ? [] : [{ server, error: reasonOf(reply) }],
      );
      for (const { server, error } of gone) {
        log.warn('mcp.server_missing', {
          upstream: sharedServerName(mountOf(armed), server),
          rpc: armed.action.mcp?.method,
          error,
          call: armed.call.id,
        });
      }
      if (gone.length > 0) armed.call.missingServers = gone;
      return gone;
    },
  };
}

/** Where a server's calls go; undefined for a server that is not configured any more. */
function urlOf(mount: Mount | undefined): string | undefined {
  return mount?.kind === 'single' ? mount.url : undefined;
}

/**
 * The reply for an answer to `initialize` that opened no session. It counts as missing, even if the server said that it
 * has no such method.
 */
export function unusable({ status, headers, result, error }: Reply): Reply {
  if (result === undefined && error === undefined) return { status, headers };
  return {
    status,
    headers,
    error: { code: -32000, message: 'It opened no session.', ...(error?.data !== undefined && { data: error.data }) },
  };
}

const NO_ANSWER: Reply = { status: 0, headers: [] };

/** A code of the gateway where there is one, otherwise a general word; never the words of a server. */
function reasonOf({ status, error }: Reply): string {
  const code = isJsonObject(error?.data) ? error.data.code : undefined;
  if (typeof code === 'string' && Object.hasOwn(ERRORS, code)) return code;
  if (error !== undefined) return 'server_error';
  return status === 0 ? 'no_answer' : status >= 200 && status < 300 ? 'upstream_protocol' : `http_${status}`;
}

/** `instead` gives the JSON that is answered in place of such an answer. */
function withoutSessionId(
  sink: ResponseSink,
  keepsId: boolean,
  instead: (status: number, body?: Uint8Array | string) => string | undefined,
): ResponseSink {
  let swallowed = false;
  const kept = (headers: HeaderList): HeaderList => (keepsId ? headers : withoutField(headers, 'mcp-session-id'));
  const replaced = (status: number, body?: Uint8Array | string): boolean => {
    const json = instead(status, body);
    if (json === undefined) return false;
    swallowed = true;
    sink.whole(200, ['content-type', 'application/json', 'cache-control', 'no-store'], Buffer.from(json));
    return true;
  };
  return wrapSink(sink, {
    head(status, headers) {
      if (!replaced(status)) sink.head(status, kept(headers));
    },
    write: (chunk) => swallowed || sink.write(chunk),
    whole(status, headers, body) {
      if (!replaced(status, body)) sink.whole(status, kept(headers), body);
    },
    end() {
      if (!swallowed) sink.end();
    },
    abort(because) {
      if (!swallowed) sink.abort(because);
    },
  });
}
