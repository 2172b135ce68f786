// What a shared mount answers itself (domain/protocol-handler.ts): sessions, lists and everything that concerns all of
// its servers. A message that names one server has become that server's own call before it gets here
// (shared-mount/route.ts). A message that can neither be asked of all servers nor given to one is refused.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { edited, parseWithSource, writeJson } from '../../domain/json-source.ts';
import type { AnsweringHandler, ProtocolHandler } from '../../domain/protocol-handler.ts';
import { sharedServerName } from '../../domain/server-names.ts';
import type { Armed } from '../../domain/stages.ts';
import type { TaskDesk } from '../../domain/task-desk.ts';
import type { ResponseSink } from '../../domain/upstream.ts';
import { asGatewayError, GatewayError } from '../../errors.ts';
import { type CancellationDependencies, heedCancellation } from '../cancellation.ts';
import { keptAlive } from '../keep-alive.ts';
import { answerOpenTask, withOwnTool } from '../open-task.ts';
import type { SharedCursors } from './cursor.ts';
import { lastPlace } from './events.ts';
import { joinCaching, joinCapabilities, joinEntries, joinInstructions, LISTS } from './lists.ts';
import { type SharedServers, unusable } from './servers.ts';
import { readSessionClient, type ServerSession, type SharedSessions } from './session.ts';
import { serveSharedStream } from './stream.ts';
import type { Reply } from './subcalls.ts';

export interface SharedHandlerParts extends CancellationDependencies {
  readonly servers: SharedServers;
  readonly sessions: SharedSessions;
  readonly cursors: SharedCursors;
  /** Between two comments on a stream that is kept open, ms. */
  readonly aliveEveryMs: number;
  /** Of the gateway, for `serverInfo`. */
  readonly version: string;
  /** How MCP says a refusal. */
  readonly refusal: ProtocolHandler['refusal'];
  /** Opens the tasks under which agents call. */
  readonly desk: Pick<TaskDesk, 'open'>;
}

/** The result of a request, or its error; nothing for a notification. */
type SharedAnswer =
  | { readonly result: JsonObject; readonly session?: string }
  | { readonly error: { readonly code: number; readonly message: string } };

const NO_SUCH_METHOD = -32601;
const INVALID_PARAMS = -32602;

export function createSharedHandler(parts: SharedHandlerParts): AnsweringHandler {
  const { servers, sessions, cursors, log } = parts;

  /** Sends a message to every server at once. Servers for which there is no message are left out. */
  async function askAll(
    armed: Armed,
    messageFor: (server: string) => JsonObject | undefined,
  ): Promise<ReadonlyMap<string, Reply>> {
    const asked = servers.names(armed).flatMap((server) => {
      const message = messageFor(server);
      return message === undefined
        ? []
        : [servers.ask(armed, server, message).then((reply) => [server, reply] as const)];
    });
    return new Map(await Promise.all(asked));
  }

  async function initialize(armed: Armed, message: JsonObject): Promise<SharedAnswer> {
    const client = readSessionClient(message.params);
    const opened = await Promise.all(
      servers
        .names(armed)
        .map(
          async (server) => [server, await servers.initialize(armed, server, message, client.protocolVersion)] as const,
        ),
    );
    const replies = new Map(
      opened.map(([server, { reply, session }]) => [server, session === undefined ? unusable(reply) : reply]),
    );
    const sessionOf = Object.fromEntries(
      opened.flatMap(([server, { session }]): [string, ServerSession][] => (session ? [[server, session]] : [])),
    );
    const missing = servers.missing(armed, replies);
    const results = resultsOf(replies);
    if (results.size === 0) {
      throw new GatewayError('upstream_unreachable', 'None of the servers under this mount opened a session.', {
        executed: 'unsaid',
      });
    }
    // The newest revision that all of them speak. Dates compare as text.
    const protocolVersion = Object.values(sessionOf)
      .map((session) => session.protocolVersion)
      .sort()[0] as string;
    const mount = armed.mount.name;
    return {
      result: {
        protocolVersion,
        capabilities: joinCapabilities([...results.values()], false),
        serverInfo: { name: mount, version: parts.version },
        ...joinInstructions(results),
        ...missingMeta(missing),
      },
      session: sessions.seal(armed.principal, mount, sessions.begin(client, sessionOf)),
    };
  }

  async function discover(armed: Armed, message: JsonObject): Promise<SharedAnswer> {
    const replies = await askAll(armed, () => message);
    // A server that answers but does not know this revision would be lost to the agent. So the agent is told to use the
    // revision before with all servers.
    const old = [...replies.values()].some(
      ({ status, result, error }) => result === undefined && (status === 400 || isServersOwn(error)),
    );
    const results = resultsOf(replies);
    if (old || results.size === 0)
      return {
        error: {
          code: NO_SUCH_METHOD,
          message: 'Not every server under this mount speaks this revision: open a session with initialize.',
        },
      };
    const versions = [...results.values()].map(({ supportedVersions }) =>
      Array.isArray(supportedVersions) ? supportedVersions : [],
    );
    return {
      result: {
        supportedVersions: (versions[0] ?? []).filter((version) =>
          versions.every((others) => others.includes(version)),
        ),
        capabilities: joinCapabilities([...results.values()], true),
        ...joinInstructions(results),
        ...joinCaching(replies, isStateless(armed)),
        ...missingMeta(servers.missing(armed, replies)),
      },
    };
  }

  async function list(armed: Armed, message: JsonObject, method: string): Promise<SharedAnswer> {
    const params = isJsonObject(message.params) ? message.params : {};
    const { cursor } = params;
    const mount = armed.mount.name;
    const places =
      cursor === undefined || cursor === null
        ? undefined
        : cursors.open(armed.principal, mount, method, String(cursor));
    const replies = await askAll(armed, (server) => {
      if (places !== undefined && !places.has(server)) return undefined;
      return edited(message, {
        params: isJsonObject(message.params)
          ? edited(withoutProgress(params), { cursor: places?.get(server) })
          : undefined,
      });
    });
    const results = resultsOf(replies);
    const leftOut = (server: string, count: number): void =>
      log.warn('mcp.entries_left_out', {
        upstream: sharedServerName(mount, server),
        rpc: method,
        count,
        call: armed.call.id,
      });
    const nextCursor = cursors.seal(armed.principal, mount, method, results);
    const entries = joinEntries(method, results, leftOut);
    return {
      result: {
        [LISTS[method] as string]:
          method === 'tools/list' ? withOwnTool(armed.mount.tasks, armed.action, entries) : entries,
        ...(nextCursor !== undefined && { nextCursor }),
        ...joinCaching(replies, isStateless(armed)),
        ...missingMeta(servers.missing(armed, replies)),
      },
    };
  }

  /** For a request without a result of its own: it succeeds when one server took it. */
  async function tellAll(armed: Armed, message: JsonObject): Promise<SharedAnswer> {
    const replies = await askAll(armed, () => message);
    const results = resultsOf(replies);
    const failure = [...replies.values()].find(({ error }) => error !== undefined)?.error;
    if (results.size === 0)
      return { error: { code: failure?.code ?? -32000, message: 'None of the servers under this mount took it.' } };
    return { result: { ...joinCaching(replies, isStateless(armed)) } };
  }

  async function answer(armed: Armed, message: JsonObject, method: string): Promise<SharedAnswer> {
    if (method === 'initialize') return initialize(armed, message);
    if (method === 'server/discover') return discover(armed, message);
    if (Object.hasOwn(LISTS, method)) return list(armed, message, method);
    if (method === 'ping') return { result: {} };
    if (method === 'logging/setLevel') return tellAll(armed, message);
    return {
      error: REFUSED[method] ?? {
        code: NO_SUCH_METHOD,
        message: `Several servers share this mount, and ${method} cannot be given to one of them.`,
      },
    };
  }

  async function endSession(armed: Armed): Promise<void> {
    const session = sessions.of(armed.request);
    // First the session here: whatever the servers do with theirs, this one takes no more calls.
    if (session !== undefined) await sessions.end(session);
    await Promise.all(servers.names(armed).map((server) => servers.end(armed, server)));
  }

  async function stream(armed: Armed, sink: ResponseSink): Promise<number> {
    const place = lastPlace(armed.request.headers);
    return serveSharedStream({
      sink: keptAlive(sink, { everyMs: parts.aliveEveryMs, onClosed: armed.request.onClosed }),
      servers: servers.names(armed),
      places: place?.of === 'all' ? place.ids : {},
      follow: (server, headers, part) => servers.follow(armed, server, headers, part),
      onClosed: armed.request.onClosed,
    });
  }

  async function serve(armed: Armed, sink: ResponseSink): Promise<number> {
    const { method, mcp, body } = armed.action;
    if (method === 'GET') return stream(armed, sink);
    if (method === 'DELETE') {
      await endSession(armed);
      sink.whole(200, NOT_STORED, '');
      return 200;
    }
    const message = parseWithSource(Buffer.from(body?.bytes ?? '{}').toString('utf8')) as JsonObject;
    if (mcp?.method === undefined)
      throw new GatewayError('bad_rpc', 'This answers no request that a server under this mount has made.');
    if (mcp.id === undefined) {
      await askAll(armed, () => message);
      sink.whole(202, NOT_STORED, '');
      return 202;
    }
    const outcome = await answer(armed, message, mcp.method);
    const { session, ...said } = 'result' in outcome ? outcome : { ...outcome, session: undefined };
    const headers = [
      'content-type',
      'application/json',
      ...NOT_STORED,
      ...(session === undefined ? [] : ['mcp-session-id', session]),
    ];
    sink.whole(200, headers, Buffer.from(writeJson({ jsonrpc: '2.0', id: mcp.id, ...said } as JsonObject)));
    return 200;
  }

  return {
    requestHeaders: () => [],
    enrich: (action) => action,
    onMessage: (recognised, action) => answerOpenTask(parts.desk, recognised, action),
    async beforeSend(armed) {
      await heedCancellation(parts, armed);
      return { detached: false, through: (sink) => sink };
    },
    async respond(armed, sink) {
      try {
        return { status: await serve(armed, sink), complete: true };
      } catch (thrown) {
        // If no server was asked yet, the table knows the effect. Otherwise the thrower has said it.
        const error = asGatewayError(thrown);
        throw error.knowing(error.executed);
      }
    },
    async afterResponse() {},
    refusal: parts.refusal,
  };
}

const isStateless = ({ action }: Armed): boolean => action.mcp?.stateless === true;

const NOT_STORED = ['cache-control', 'no-store'];

/** A rule let these through, but they name nothing of any server. */
const REFUSED: Readonly<Record<string, { readonly code: number; readonly message: string }>> = Object.fromEntries(
  [
    'tools/call',
    'prompts/get',
    'resources/read',
    'resources/subscribe',
    'resources/unsubscribe',
    'completion/complete',
  ].map((method) => [
    method,
    {
      code: INVALID_PARAMS,
      message: 'No server under this mount has this: take names and URIs from the lists, as they are there.',
    },
  ]),
);

const resultsOf = (replies: ReadonlyMap<string, Reply>): ReadonlyMap<string, JsonObject> =>
  new Map(
    [...replies].flatMap(([server, { result }]): [string, JsonObject][] =>
      result === undefined || result.resultType === 'input_required' ? [] : [[server, result]],
    ),
  );

/** Whether the error is from the server, not from the gateway in its place. */
function isServersOwn(error: Reply['error']): boolean {
  return error !== undefined && !(isJsonObject(error.data) && typeof error.data.code === 'string');
}

/** Without the progress token: several servers would report on the same one. */
function withoutProgress(params: JsonObject): JsonObject {
  if (!isJsonObject(params._meta)) return params;
  return edited(params, { _meta: edited(params._meta, { progressToken: undefined }) });
}

function missingMeta(missing: readonly { readonly server: string; readonly error: string }[]): JsonObject {
  const entries: readonly [string, Json][] = missing.map(({ server, error }) => [server, error]);
  return entries.length === 0 ? {} : { _meta: { 'countersign/missing': Object.fromEntries(entries) } };
}
