// The section about what is protected: upstreams.

import { z } from 'zod';
import { SERVER_NAME } from '../domain/server-names.ts';
import { httpUrl, isLoopback, isSpecialLiteral, workloadApiAddress } from '../settings/addresses.ts';
import { fieldName } from '../settings/field-name.ts';
import { type ConfigContext, pemFile } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';

/** Servers under one mount: their sessions travel together in one field. */
const MOST_SERVERS = 32;

/** A field that an approval may bind and a held call may forward: never one that identifies the agent. */
const boundField = () =>
  fieldName().refine(
    (name) => !/^(authorization|cookie)$/.test(name),
    'What identifies the agent never travels upstream.',
  );

const timeouts = () =>
  z
    .strictObject({
      connect: duration({ least: '100ms', most: '1m' })
        .prefault('5s')
        .describe('Until the connection stands, TLS included; default 5s'),
      headers: duration({ least: '1s', most: '1h' }).prefault('60s').describe('Until the answer begins; default 60s'),
      idle: duration({ least: '1s', most: '1d' })
        .prefault('5m')
        .describe('Between two pieces of the answer; default 5m'),
    })
    .prefault({})
    .transform(({ connect, headers, idle }) => ({ connectMs: connect, headersMs: headers, idleMs: idle }));

const pool = () =>
  z
    .strictObject({
      connections: z
        .int()
        .min(1)
        .max(100_000)
        .exactOptional()
        .describe(
          'Most calls to it that are under way at a time, event streams and WebSockets among them; default: a share of the open files',
        ),
      queue: z
        .int()
        .min(0)
        .max(100_000)
        .default(1_000)
        .describe('Most calls that wait for a connection; others are refused; default 1000'),
      wait: duration({ least: '0s', most: '5m' })
        .prefault('5s')
        .describe('How long a call waits for a connection; default 5s'),
    })
    .prefault({})
    .transform(({ connections, queue, wait }) => ({
      ...(connections !== undefined && { connections }),
      queue,
      waitMs: wait,
    }));

const toolChanges = () =>
  z.union([z.enum(['allow', 'deny']), z.strictObject({ hold: z.string().min(1).describe('A name under `tiers`') })]);

/** Where calls go, and what is particular to it: of an upstream, or of each server that shares a mount. */
const destination = (around: ConfigContext) => ({
  url: httpUrl().describe('Where calls go; its path is put before theirs'),
  credential: z.string().exactOptional().describe('A name under `credentials`'),
  caseSensitive: z
    .boolean()
    .default(false)
    .describe(
      'Whether it tells paths, parameters and tools apart by the case of letters; hold and deny rules then do so too; default false',
    ),
  traceContext: z.boolean().default(false).describe('Whether the gateway’s traceparent is sent along; default false'),
  toolChanges: toolChanges()
    .default('deny')
    .describe('MCP: what happens to calls of a tool whose definition is not the pinned one; default deny'),
  pinnedTools: z
    .record(z.string().min(1), z.string().regex(/^[0-9a-f]{64}$/, { error: 'A digest is 64 lower-case hex digits.' }))
    .default({})
    .describe('MCP: digests of tool definitions; tools that are not named here are pinned as they are first seen'),
  allowPlaintext: z.boolean().default(false).describe('Lets plain http leave this machine; default false'),
  allowPrivateAddresses: z
    .boolean()
    .default(false)
    .describe('Lets the name resolve to private and link-local addresses; default false'),
  tls: z
    .strictObject({
      ca: pemFile(around).exactOptional().describe('PEM file of the authorities to trust instead of the system’s'),
      clientCertificate: z
        .strictObject({
          workloadApi: workloadApiAddress().describe('Workload API that gives it: unix:///path or tcp://ip:port'),
        })
        .exactOptional()
        .describe('The gateway’s own X.509-SVID, for upstreams that ask for a client certificate'),
    })
    .exactOptional(),
  timeouts: timeouts(),
  pool: pool().describe('How much of it the gateway uses at a time'),
});

/** One server of a mount that several share. */
const server = (around: ConfigContext) => z.strictObject(destination(around)).superRefine(checkAddress);

const serverName = () =>
  z.string().regex(SERVER_NAME, {
    error: 'A server’s name has up to 32 lower-case letters, digits and hyphens, and begins with a letter.',
  });

export const upstream = (around: ConfigContext) =>
  z
    .strictObject({
      ...destination(around),
      url: destination(around).url.exactOptional(),
      protocol: z.enum(['http', 'mcp']).default('http').describe('How it speaks; default http'),
      agentToken: fieldName()
        .exactOptional()
        .describe('Header field that carries the agent’s token; default authorization'),
      websocket: z.boolean().default(false).describe('Whether WebSocket upgrades pass; default false'),
      boundHeaders: z
        .array(boundField())
        .default([])
        .describe(
          'Fields of the agent’s that an approval binds, x-ms-* for all that begin so; a held call forwards no others',
        ),
      forwardHeaders: z
        .array(boundField())
        .default([])
        .describe(
          'Fields of the agent’s that say who is asking and may go along with an injected credential all the same, x-ms-* for all that begin so; default none',
        ),
      mcpLifecycle: z
        .boolean()
        .default(true)
        .describe('MCP: whether the built-in rules let sessions be opened and tools be listed; default true'),
      heldToolSuffix: z
        .string()
        .max(500)
        .default('[A person decides on this before it runs.]')
        .describe('MCP: put after the descriptions of tools that are held; empty for nothing'),
      allowedOrigins: z
        .array(
          z.string().regex(/^https?:\/\/[a-z0-9.[\]:-]+$/, {
            error: 'Write an origin: scheme, host and port, without a path.',
          }),
        )
        .default([])
        .describe(
          'MCP: web origins whose pages may call, and read the answers (CORS); requests without Origin always may; default none',
        ),
      servers: z
        .record(serverName(), server(around))
        .refine(
          (servers) => Object.keys(servers).length >= 1 && Object.keys(servers).length <= MOST_SERVERS,
          `Name between 1 and ${MOST_SERVERS} servers.`,
        )
        .exactOptional()
        .describe('MCP: several servers under this one mount, in place of url: their tools appear as server__tool'),
      serversWithin: duration({ least: '100ms', most: '1m' })
        .prefault('10s')
        .describe('MCP: how long what concerns all servers of a mount waits for each of them; default 10s'),
    })
    .superRefine(checkForm)
    .transform(({ url, servers, serversWithin, ...rest }) =>
      servers === undefined
        ? { ...rest, url: url ?? '' }
        : { ...shared(rest), servers, serversWithinMs: serversWithin },
    );

interface SharedKeys {
  readonly protocol: 'http' | 'mcp';
  readonly agentToken?: string;
  readonly websocket: boolean;
  readonly boundHeaders: string[];
  readonly forwardHeaders: string[];
  readonly mcpLifecycle: boolean;
  readonly heldToolSuffix: string;
  readonly allowedOrigins: string[];
}

/** What several servers share is the mount; the rest is each one's own. */
function shared({
  protocol,
  agentToken,
  websocket,
  boundHeaders,
  forwardHeaders,
  mcpLifecycle,
  heldToolSuffix,
  allowedOrigins,
}: SharedKeys): SharedKeys {
  const token = agentToken === undefined ? {} : { agentToken };
  return { protocol, websocket, boundHeaders, forwardHeaders, mcpLifecycle, heldToolSuffix, allowedOrigins, ...token };
}

export type UpstreamEntry = z.output<ReturnType<typeof upstream>>;

interface FormKeys extends Omit<AddressKeys, 'url'> {
  readonly url?: string;
  readonly protocol: 'http' | 'mcp';
  readonly servers?: object;
  readonly credential?: string;
  readonly tls?: object;
  readonly caseSensitive: boolean;
  readonly traceContext: boolean;
  readonly toolChanges: unknown;
  readonly pinnedTools: object;
  readonly timeouts: { readonly connectMs: number; readonly headersMs: number; readonly idleMs: number };
  readonly pool: { readonly connections?: number; readonly queue: number; readonly waitMs: number };
}

/** Either a url or servers; and where there are servers, nothing beside them that would have to be one's own. */
function checkForm(upstream: FormKeys, context: z.RefinementCtx): void {
  const refuse = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  const {
    url,
    servers,
    protocol,
    credential,
    tls,
    caseSensitive,
    traceContext,
    toolChanges: changes,
    pinnedTools,
    allowPlaintext,
    allowPrivateAddresses,
  } = upstream;
  const { connectMs, headersMs, idleMs } = upstream.timeouts;
  if (servers === undefined) {
    if (url === undefined) refuse('url', 'This key is required.');
    else checkAddress({ url, allowPlaintext, allowPrivateAddresses }, context);
    return;
  }
  if (protocol !== 'mcp') refuse('servers', 'Only MCP servers can share a mount: write protocol: mcp.');
  const own = {
    ...{
      url: url !== undefined,
      credential: credential !== undefined,
      tls: tls !== undefined,
      caseSensitive,
      traceContext,
      allowPlaintext,
      allowPrivateAddresses,
    },
    toolChanges: changes !== 'deny',
    pinnedTools: Object.keys(pinnedTools).length > 0,
    // As the defaults above give them.
    timeouts: connectMs !== 5_000 || headersMs !== 60_000 || idleMs !== 300_000,
    pool: upstream.pool.connections !== undefined || upstream.pool.queue !== 1_000 || upstream.pool.waitMs !== 5_000,
  };
  for (const [key, isGiven] of Object.entries(own))
    if (isGiven) refuse(key, 'Beside servers this belongs to each of them.');
}

interface AddressKeys {
  readonly url: string;
  readonly allowPlaintext: boolean;
  readonly allowPrivateAddresses: boolean;
}

function checkAddress(
  { url: text, allowPlaintext, allowPrivateAddresses }: AddressKeys,
  context: z.RefinementCtx,
): void {
  const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['url'], message });
  if (!URL.canParse(text)) return;
  const url = new URL(text);
  if (url.protocol === 'http:' && !isLoopback(url) && !allowPlaintext) {
    refuse('Plain http would carry calls and credentials in the open: write https, or set allowPlaintext: true.');
  }
  if (isSpecialLiteral(url) && !allowPrivateAddresses)
    refuse('This is an unspecified or link-local address; it needs allowPrivateAddresses: true.');
}
