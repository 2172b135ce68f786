// The configured upstreams as things that can be connected to: one connection pool each, with TLS always verified. A
// reload hands in the new set. An unchanged upstream keeps its pool and its open connections; a removed one ends when
// its calls have ended. Refuses upstreams that the address guard refuses, before anything is connected.

import type { LookupFunction } from 'node:net';
import { buildConnector, Pool } from 'undici';
import type { PemSource } from '../domain/pem.ts';
import { GatewayError } from '../errors.ts';
import { type AddressRules, guardedLookup, type Resolve, refuseUpstreamUrl } from './address-guard.ts';
import { discardUnaskedContinue } from './interim-answers.ts';

/** One entry under `upstreams`. */
export interface UpstreamOptions extends AddressRules {
  /** The name under `upstreams`: what `action.upstream` says. */
  readonly name: string;
  /**
   * Absolute http(s) URL without user information, query or fragment. Its origin is where calls go; its path is already
   * part of `action.target`.
   */
  readonly url: string;
  /** Plain http to a host other than this one. Default in the schema: false. */
  readonly allowPlaintext: boolean;
  /** Lets the name resolve to private, link-local and metadata addresses. Default: false. */
  readonly allowPrivateAddresses?: boolean;
  readonly tls?: {
    /**
     * The authorities that are trusted for this upstream instead of the system's. Each new connection uses the
     * authorities of that moment.
     */
    readonly ca?: PemSource;
    /**
     * The certificate that the gateway shows when the upstream asks for one. It can be replaced while connections are
     * open. `name` identifies its source.
     */
    readonly clientCertificate?: { readonly name: string; readonly feed: ClientCertificate };
  };
  /** Until a connection stands, TLS included, ms; 0 waits for ever. */
  readonly connectTimeoutMs: number;
  /** From the request's last byte to the answer's head, ms; 0 waits for ever. Resolution about half a second. */
  readonly headersTimeoutMs: number;
  /** Between two pieces of the answer's body, ms; 0 waits for ever. Mind event streams that are silent for long. */
  readonly bodyTimeoutMs: number;
  /** Whether WebSocket upgrades pass. */
  readonly websocket: boolean;
  /**
   * Fields of the agent that say who is asking and are forwarded although a credential is injected. `x-ms-*` stands for
   * all names with that beginning. Default none.
   */
  readonly forwardHeaders?: readonly string[];
  /**
   * Lower-case name of the field that carries the agent's own token to the gateway, when it is not `authorization`.
   * Never forwarded.
   */
  readonly agentToken?: string;
}

/** PEM. While it is undefined nothing is sent, not even on open connections. */
export interface ClientCertificate {
  current(): { readonly certificate: string; readonly key: string } | undefined;
}

/** An upstream ready to be called. */
export interface Target {
  readonly options: UpstreamOptions;
  readonly url: URL;
  /** host[:port] of `url`, read once: URL computes it at every access. */
  readonly authority: string;
  readonly pool: Pool;
  readonly lookup: LookupFunction;
}

export interface Targets {
  get(name: string): Target | undefined;
  /** Swaps the set. Throws `upstream_address_refused` and changes nothing when one entry is not acceptable. */
  reconfigure(upstreams: ReadonlyMap<string, UpstreamOptions>): void;
  /** Ends every connection at once, those in use too. Let the calls end first. */
  close(): Promise<void>;
}

/**
 * Idle connections are dropped before common servers drop theirs (5 s in node:http), so that a call rarely meets a
 * closing one.
 */
const KEEP_ALIVE_MS = 4_000;
const KEEP_ALIVE_MAX_MS = 60_000;
/** Longest head of an answer, bytes. */
const ANSWER_HEAD_BYTES = 32 * 1024;

/** Throws `upstream_address_refused` with the entry's name. `resolve` stands in for dns.lookup. */
export function createTargets(upstreams: ReadonlyMap<string, UpstreamOptions>, resolve?: Resolve): Targets {
  let targets = new Map<string, Target>();
  const retiring = new Set<Pool>();

  const reconfigure = (next: ReadonlyMap<string, UpstreamOptions>): void => {
    for (const options of next.values()) checkUpstream(options);
    const fresh = new Map<string, Target>();
    for (const [name, options] of next) {
      const old = targets.get(name);
      fresh.set(
        name,
        old !== undefined && connectionKey(old.options) === connectionKey(options)
          ? { ...old, options, url: new URL(options.url) }
          : openTarget(options, resolve),
      );
    }
    const kept = new Set([...fresh.values()].map(({ pool }) => pool));
    for (const { pool } of targets.values()) {
      if (kept.has(pool)) continue;
      retiring.add(pool);
      void pool.close().finally(() => retiring.delete(pool));
    }
    targets = fresh;
  };

  reconfigure(upstreams);
  return {
    get: (name) => targets.get(name),
    reconfigure,
    async close() {
      await Promise.all([...[...targets.values()].map(({ pool }) => pool), ...retiring].map((pool) => pool.destroy()));
    },
  };
}

function checkUpstream(options: UpstreamOptions): void {
  const reason = refuseUpstreamUrl(options);
  if (reason !== undefined)
    throw new GatewayError('upstream_address_refused', `The URL of upstream ${options.name} is refused. ${reason}`);
}

/** Everything that shapes a connection: two entries with the same key may share one. */
function connectionKey({
  url,
  allowPrivateAddresses,
  tls,
  connectTimeoutMs,
  headersTimeoutMs,
  bodyTimeoutMs,
}: UpstreamOptions): string {
  return JSON.stringify([
    new URL(url).origin,
    allowPrivateAddresses === true,
    tls?.ca?.origin,
    tls?.clientCertificate?.name,
    connectTimeoutMs,
    headersTimeoutMs,
    bodyTimeoutMs,
  ]);
}

function openTarget(options: UpstreamOptions, resolve?: Resolve): Target {
  const url = new URL(options.url);
  const lookup = guardedLookup(options, resolve);
  const pool = new Pool(url.origin, {
    connect: connectorOf(options, lookup),
    headersTimeout: options.headersTimeoutMs,
    bodyTimeout: options.bodyTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
    maxHeaderSize: ANSWER_HEAD_BYTES,
    pipelining: 1,
    allowH2: false,
  });
  discardUnaskedContinue(pool);
  return { options, url, authority: url.host, pool, lookup };
}

/** A new connection uses the certificate and the authorities of that moment. Open connections keep theirs. */
function connectorOf(options: UpstreamOptions, lookup: LookupFunction): buildConnector.connector {
  const make = () => buildConnector({ lookup, timeout: options.connectTimeoutMs, ...tlsOptions(options) });
  const { ca, clientCertificate } = options.tls ?? {};
  if (ca === undefined && clientCertificate === undefined) return make();
  const now = () => ({ own: clientCertificate?.feed.current(), ca: ca?.read() });
  let made: ReturnType<typeof now> | undefined;
  let connector: buildConnector.connector | undefined;
  return (target, callback) => {
    try {
      const current = now();
      // A connector keeps TLS sessions, and a session belongs to the certificates that it was made with.
      if (connector === undefined || current.own !== made?.own || current.ca !== made?.ca) connector = make();
      made = current;
      connector(target, callback);
    } catch (thrown) {
      callback(thrown instanceof Error ? thrown : new Error('no connection'), null);
    }
  };
}

interface TlsOptions {
  readonly rejectUnauthorized: true;
  readonly minVersion: 'TLSv1.2';
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * The certificate for this upstream now, if one is configured. Throws `upstream_tls` while it is not available: without
 * it the upstream would take the gateway for somebody else. That holds for open connections too.
 */
export function ownCertificate({ tls, name }: UpstreamOptions): ReturnType<ClientCertificate['current']> {
  const own = tls?.clientCertificate?.feed.current();
  if (tls?.clientCertificate !== undefined && own === undefined) {
    throw new GatewayError('upstream_tls', `The client certificate for upstream ${name} cannot be had.`);
  }
  return own;
}

/**
 * Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED in the environment cannot switch verification off. Throws as
 * `ownCertificate`.
 */
export function tlsOptions(options: UpstreamOptions): TlsOptions {
  const { ca } = options.tls ?? {};
  const own = ownCertificate(options);
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca !== undefined && { ca: ca.read() }),
    ...(own && { cert: own.certificate, key: own.key }),
  };
}
