// The section about what is protected: upstreams, each a URL, or one mount for several MCP servers.

import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { SERVER_NAME } from '../domain/server-names.ts';
import { fieldName } from '../settings/field-name.ts';
import type { ConfigContext } from '../settings/paths-and-secrets.ts';
import { requireTask } from '../settings/require-task.ts';
import { duration } from '../settings/units.ts';
import { checkAddress, destination } from './destination.ts';

/** Servers under one mount: their sessions travel together in one field. */
const MOST_SERVERS = 32;

/** A field that an approval may bind and a held call may forward: never one that identifies the agent. */
const boundField = () =>
  fieldName().refine(
    (name) => !/^(authorization|cookie)$/.test(name),
    'Remove this field: what identifies the agent is never sent upstream.',
  );

export const upstreamName = () =>
  z
    .string()
    .regex(/^[a-z0-9-]+$/, { error: 'Use lower-case letters, digits and hyphens in the name of an upstream.' })
    .refine((name) => name !== 'countersign', 'Choose another name: `countersign` is the gateway’s own.');

/** How agents call the mount, whether one destination is behind it or several servers. */
const mount = () => ({
  protocol: z.enum(['http', 'mcp']).default('http').describe('How it speaks; default http'),
  agentToken: fieldName()
    .exactOptional()
    .describe('Header field that carries the agent’s token; default authorization'),
  websocket: z.boolean().default(false).describe('Whether WebSocket upgrades pass; default false'),
  requireTask: requireTask('its calls'),
  autoTask: z
    .literal('session', { error: 'Write `session`.' })
    .exactOptional()
    .describe('session: opens a task for each MCP session, or `sid` of the token, that has none; default: no'),
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
      'Fields of the agent’s that say who is asking and may go along with an injected credential all the ' +
        'same, x-ms-* for all that begin so; default none',
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
      'MCP: web origins whose pages may call, and read the answers (CORS); requests without Origin always ' +
        'may; default none',
    ),
});

/** One server of a mount that several share. */
const server = (context: ConfigContext) => z.strictObject(destination(context)).superRefine(checkAddress);

const serverName = () =>
  z.string().regex(SERVER_NAME, {
    error: 'Use up to 32 lower-case letters, digits and hyphens, and begin with a letter.',
  });

const keys = (context: ConfigContext) =>
  z.strictObject({
    ...destination(context),
    url: destination(context).url.exactOptional(),
    ...mount(),
    servers: z
      .record(serverName(), server(context))
      .refine(
        (servers) => Object.keys(servers).length >= 1 && Object.keys(servers).length <= MOST_SERVERS,
        `Write from 1 to ${MOST_SERVERS} servers.`,
      )
      .exactOptional()
      .describe('MCP: several servers under this one mount, in place of url: their tools appear as server__tool'),
    serversWithin: duration({ least: '100ms', most: '1m' })
      .prefault('10s')
      .describe('MCP: how long what concerns all servers of a mount waits for each of them; default 10s'),
  });

export type UpstreamEntry = z.output<ReturnType<typeof upstream>>;

export const upstream = (context: ConfigContext) =>
  keys(context)
    .superRefine(checkForm)
    .transform(({ url, servers, serversWithin: serversWithinMs, ...own }) => {
      // z.object keeps the keys of the mount; the others are each server's own.
      if (servers !== undefined) return { ...z.object(mount()).parse(own), servers, serversWithinMs };
      // checkForm refuses an upstream that has none of both.
      return url === undefined ? z.NEVER : { ...own, url };
    });

/** The keys of a destination with their defaults: beside `servers`, no other value may stand there. */
const OWN_KEYS = z.object(destination({ folder: '/', env: {} })).omit({ url: true });
const OWN_DEFAULTS: Readonly<Record<string, unknown>> = OWN_KEYS.parse({});

/** Either a url, or servers without the keys that each of them has for itself. */
function checkForm(upstreamKeys: z.output<ReturnType<typeof keys>>, issues: z.RefinementCtx): void {
  const refuse = (key: string, message: string) => issues.addIssue({ code: 'custom', path: [key], message });
  const { url, servers, protocol, serversWithin: _, ...own } = upstreamKeys;
  if (servers === undefined) {
    if (url !== undefined) checkAddress({ ...own, url }, issues);
    else refuse('url', 'This key is required. Write the URL of the upstream, or `servers` for several MCP servers.');
    return;
  }
  if (protocol !== 'mcp') refuse('servers', 'Set `protocol: mcp`: only MCP servers can share a mount.');
  const given: Readonly<Record<string, unknown>> = { ...own, url };
  for (const key of ['url', ...Object.keys(OWN_KEYS.shape)])
    if (!isDeepStrictEqual(given[key], OWN_DEFAULTS[key]))
      refuse(key, 'With `servers`, set this on each server instead.');
}
