// One session for the agent over one session with each server of a shared mount (MCP 2025 revisions). The agent's id is
// the list of the servers' ids, sealed for its caller and mount: it survives a restart, and nobody can read it, change
// it or lend it to another agent. Later changes (a server that was away, or forgot its session) are kept in memory, and
// the session with that server is opened again when they are lost. The end of a session is kept in the store for as
// long as its id would be valid.

import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { canonicalDigest, sha256 } from '../../domain/canonical.ts';
import type { Clock, EpochMs } from '../../domain/clock.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { type OnceStore, useOnce } from '../../domain/once.ts';
import type { Principal } from '../../domain/principal.ts';
import type { InboundRequest } from '../../domain/request.ts';
import { Secret } from '../../domain/secret.ts';
import { GatewayError } from '../../errors.ts';
import type { StateSealer } from '../request-state.ts';

/** What the agent said about itself when it opened the session. Servers that are opened later are told the same. */
export interface SessionClient {
  readonly protocolVersion: string;
  readonly capabilities: JsonObject;
  readonly clientInfo: JsonObject;
}

/** A session with one server. Some servers keep none and give no id. */
export interface ServerSession {
  readonly id?: string;
  readonly protocolVersion: string;
  /** A digest of the address at which the session was opened. Its id is never sent to another address. */
  readonly at: string;
}

export interface SharedSession {
  /** Random. Approvals and open requests of this session are kept under it. */
  readonly nonce: string;
  readonly client: SessionClient;
  readonly servers: Readonly<Record<string, ServerSession>>;
  readonly endsAt: EpochMs;
}

export interface SharedSessions {
  begin(client: SessionClient, servers: Readonly<Record<string, ServerSession>>): SharedSession;
  /** The id for the agent. Throws `upstream_protocol` when the servers' own ids are too long together. */
  seal(principal: Principal, mount: string, session: SharedSession): string;
  /**
   * Throws `session_not_found` for what was not sealed for this caller and mount, and for a session that has ended;
   * `store_unavailable`.
   */
  open(principal: Principal, mount: string, id: string): Promise<SharedSession>;
  /** The session that this request belongs to. */
  of(request: InboundRequest): SharedSession | undefined;
  bind(request: InboundRequest, session: SharedSession): void;
  /** The session with one server at this address, unless it has to be opened. */
  current(session: SharedSession, server: string, address: string | undefined): ServerSession | undefined;
  put(session: SharedSession, server: string, opened: ServerSession): void;
  /** The server does not know its session any more. */
  forget(session: SharedSession, server: string): void;
  /** Durable when it resolves. Throws `store_unavailable`. */
  end(session: SharedSession): Promise<void>;
}

/** Characters of a sealed id; clients send it with every request, beside a token. */
const LONGEST_ID = 8 * 1024;
const REMEMBERED = 50_000;
/** From initialize to the last call. After that the client opens another session, as after any 404. */
const LIFETIME_MS = 7 * 24 * 60 * 60_000;

export const addressDigest = (url: string): string => sha256(url).slice(0, 16);

export function createSharedSessions(seal: StateSealer, once: OnceStore, clock: Clock): SharedSessions {
  const bound = new WeakMap<InboundRequest, SharedSession>();
  const later = new LRUCache<string, ServerSession | 'forgotten'>({ max: REMEMBERED });
  const keyOf = ({ nonce }: SharedSession, server: string): string => `${nonce} ${server}`;

  return {
    begin: (client, servers) => ({
      nonce: randomBytes(16).toString('base64url'),
      client,
      servers,
      endsAt: clock.now() + LIFETIME_MS,
    }),
    seal(principal, mount, session) {
      const id = seal.seal(boundTo(principal, mount), new Secret(JSON.stringify(session)));
      if (id.length > LONGEST_ID)
        throw new GatewayError(
          'upstream_protocol',
          'The session ids of the servers under this mount are too long together.',
        );
      return id;
    },
    async open(principal, mount, id) {
      const session = read(seal, boundTo(principal, mount), id);
      if (
        session === undefined ||
        !(clock.now() < session.endsAt) ||
        (await once.wasUsed('mcp-session', session.nonce))
      )
        throw new GatewayError('session_not_found', 'This session was not opened here by this caller, or has ended.');
      return session;
    },
    of: (request) => bound.get(request),
    bind: (request, session) => void bound.set(request, session),
    current(session, server, address) {
      const known =
        later.get(keyOf(session, server)) ??
        (Object.hasOwn(session.servers, server) ? session.servers[server] : undefined);
      if (known === undefined || known === 'forgotten' || address === undefined) return undefined;
      return known.at === addressDigest(address) ? known : undefined;
    },
    put: (session, server, opened) => void later.set(keyOf(session, server), opened),
    forget: (session, server) => void later.set(keyOf(session, server), 'forgotten'),
    async end({ nonce, endsAt }) {
      await useOnce(once, 'mcp-session', nonce, endsAt);
    },
  };
}

function boundTo({ id, issuer }: Principal, mount: string): string {
  return `mcp-session ${canonicalDigest('countersign/mcp-session/v1', { principal: id, issuer, mount })}`;
}

/** A text that was sealed here has the expected form. */
function read(seal: StateSealer, boundTo: string, id: string): SharedSession | undefined {
  try {
    return id.length > LONGEST_ID ? undefined : (JSON.parse(seal.open(boundTo, id).reveal()) as SharedSession);
  } catch {
    return undefined;
  }
}

const MOST_CAPABILITIES = 1024;
const LONGEST_NAME = 200;
const VERSION = /^\d{4}-\d{2}-\d{2}$/;

/** What is kept of an initialize message. Throws `bad_rpc`. */
export function readSessionClient(params: unknown): SessionClient {
  const {
    protocolVersion,
    capabilities = {},
    clientInfo = {},
  } = isJsonObject(params as JsonObject) ? (params as JsonObject) : {};
  if (typeof protocolVersion !== 'string' || !VERSION.test(protocolVersion))
    throw new GatewayError('bad_rpc', 'The initialize message names no protocol version.');
  const info = isJsonObject(clientInfo) ? clientInfo : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, LONGEST_NAME) : '');
  return {
    protocolVersion,
    // Larger capabilities do not fit into the id. Servers that are opened later then get none.
    capabilities:
      isJsonObject(capabilities) && JSON.stringify(capabilities).length <= MOST_CAPABILITIES ? capabilities : {},
    clientInfo: { name: text(info.name), version: text(info.version) },
  };
}

/**
 * The revisions with sessions. A server with an unknown revision would break the session for all, because clients close
 * it.
 */
const REVISIONS: ReadonlySet<string> = new Set(['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']);
const SESSION_ID = /^[\x21-\x7e]{1,1024}$/;

/** What a server's answer to initialize opens; undefined when it cannot be used by a client of this version. */
export function readServerSession(
  result: JsonObject,
  id: string | undefined,
  requested: string,
  address: string,
): ServerSession | undefined {
  const { protocolVersion } = result;
  if (typeof protocolVersion !== 'string' || !REVISIONS.has(protocolVersion) || protocolVersion > requested)
    return undefined;
  if (id !== undefined && !SESSION_ID.test(id)) return undefined;
  return { ...(id !== undefined && { id }), protocolVersion, at: addressDigest(address) };
}
