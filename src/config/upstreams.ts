// The section about what is protected: upstreams.

import { z } from 'zod';
import { httpUrl, isLoopback, isSpecialLiteral } from './addresses.ts';
import { workloadApiAddress } from './bundles.ts';
import { fieldName } from './field-name.ts';
import { pemFile, type Surroundings } from './files.ts';
import { laterKey } from './later.ts';
import { duration } from './units.ts';

/** A field that an approval may bind and a held call may forward: never one that identifies the agent. */
const boundField = () => fieldName().refine((name) => !/^(authorization|cookie)$/.test(name), 'What identifies the agent never travels upstream.');

const timeouts = () =>
  z
    .strictObject({
      connect: duration({ least: '100ms', most: '1m' }).prefault('5s').describe('Until the connection stands, TLS included; default 5s'),
      headers: duration({ least: '1s', most: '1h' }).prefault('60s').describe('Until the answer begins; default 60s'),
      idle: duration({ least: '1s', most: '1d' }).prefault('5m').describe('Between two pieces of the answer; default 5m'),
    })
    .prefault({})
    .transform(({ connect, headers, idle }) => ({ connectMs: connect, headersMs: headers, idleMs: idle }));

const toolChanges = () => z.union([z.enum(['allow', 'deny']), z.strictObject({ hold: z.string().min(1).describe('A name under `tiers`') })]);

export const upstream = (around: Surroundings) =>
  z
    .strictObject({
      url: httpUrl().describe('Where calls go; its path is put before theirs'),
      protocol: z.enum(['http', 'mcp']).default('http').describe('How it speaks; default http'),
      credential: z.string().exactOptional().describe('A name under `credentials`'),
      agentToken: fieldName().exactOptional().describe('Header field that carries the agent’s token; default authorization'),
      websocket: z.boolean().default(false).describe('Whether WebSocket upgrades pass; default false'),
      boundHeaders: z.array(boundField()).default([]).describe('Fields of the agent’s that an approval binds; a held call forwards no others'),
      traceContext: z.boolean().default(false).describe('Whether the gateway’s traceparent is sent along; default false'),
      mcpLifecycle: z.boolean().default(true).describe('MCP: whether the built-in rules let sessions be opened and tools be listed; default true'),
      toolChanges: toolChanges().default('deny').describe('MCP: what happens to calls of a tool whose definition is not the pinned one; default deny'),
      pinnedTools: z
        .record(z.string().min(1), z.string().regex(/^[0-9a-f]{64}$/, { error: 'A digest is 64 lower-case hex digits.' }))
        .default({})
        .describe('MCP: digests of tool definitions; tools that are not named here are pinned as they are first seen'),
      heldToolSuffix: z
        .string()
        .max(500)
        .default('[A person decides on this before it runs.]')
        .describe('MCP: put after the descriptions of tools that are held; empty for nothing'),
      allowedOrigins: z
        .array(z.string().regex(/^https?:\/\/[a-z0-9.[\]:-]+$/, { error: 'Write an origin: scheme, host and port, without a path.' }))
        .default([])
        .describe('MCP: web origins whose pages may call; requests without Origin always may; default none'),
      servers: laterKey('Several servers under one mount').describe('Reserved: not supported in this version; give each server an entry of its own'),
      allowPlaintext: z.boolean().default(false).describe('Lets plain http leave this machine; default false'),
      allowPrivateAddresses: z.boolean().default(false).describe('Lets the name resolve to private and link-local addresses; default false'),
      tls: z
        .strictObject({
          ca: pemFile(around).exactOptional().describe('PEM file of the authorities to trust instead of the system’s'),
          clientCertificate: z
            .strictObject({ workloadApi: workloadApiAddress().describe('Workload API that gives it: unix:///path or tcp://ip:port') })
            .exactOptional()
            .describe('The gateway’s own X.509-SVID, for upstreams that ask for a client certificate'),
        })
        .exactOptional(),
      timeouts: timeouts(),
    })
    .superRefine(checkAddress);

interface AddressKeys {
  readonly url: string;
  readonly allowPlaintext: boolean;
  readonly allowPrivateAddresses: boolean;
}

function checkAddress({ url: text, allowPlaintext, allowPrivateAddresses }: AddressKeys, context: z.RefinementCtx): void {
  const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['url'], message });
  if (!URL.canParse(text)) return;
  const url = new URL(text);
  if (url.protocol === 'http:' && !isLoopback(url) && !allowPlaintext) {
    refuse('Plain http would carry calls and credentials in the open: write https, or set allowPlaintext: true.');
  }
  if (isSpecialLiteral(url) && !allowPrivateAddresses) refuse('This is an unspecified or link-local address; it needs allowPrivateAddresses: true.');
}
