// Where calls go, and what is particular to it: the keys of an upstream, or of each server that shares a mount. Plain http
// and addresses that nobody writes on purpose are refused, unless a key allows them.

import { z } from 'zod';
import { httpUrl, isLoopback, isSpecialLiteral, workloadApiAddress } from '../settings/addresses.ts';
import { type ConfigContext, pemFile } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';
import { plainName } from './resources.ts';

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
          'Most calls to it that are under way at a time, event streams and WebSockets among them; default: ' +
            'a share of the open files',
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
  z.union([z.enum(['allow', 'deny']), z.strictObject({ hold: z.string().min(1).describe('A name under `tiers`') })], {
    error: 'Write `allow`, `deny` or `{ hold: TIER }`.',
  });

export const destination = (context: ConfigContext) => ({
  url: httpUrl().describe('Where calls go; its path is put before theirs'),
  credential: z.string().exactOptional().describe('A name under `credentials`'),
  caseSensitive: z
    .boolean()
    .default(false)
    .describe(
      'Whether it tells paths, parameters and tools apart by the case of letters; hold and deny rules then ' +
        'do so too; default false',
    ),
  environment: plainName()
    .exactOptional()
    .describe('What calls to it touch: sandbox, production or another name; default: none is named'),
  trust: plainName()
    .exactOptional()
    .describe('How far it is trusted: a name under `destinations`, or external; default: by its address'),
  traceContext: z.boolean().default(false).describe('Whether the gateway’s traceparent is sent along; default false'),
  toolChanges: toolChanges()
    .default('deny')
    .describe('MCP: what happens to calls of a tool whose definition is not the pinned one; default deny'),
  pinnedTools: z
    .record(
      z.string().min(1),
      z.string().regex(/^[0-9a-f]{64}$/, { error: 'Write the digest as 64 lower-case hex digits.' }),
    )
    .default({})
    .describe('MCP: digests of tool definitions; tools that are not named here are pinned as they are first seen'),
  allowPlaintext: z.boolean().default(false).describe('Lets plain http leave this machine; default false'),
  allowPrivateAddresses: z
    .boolean()
    .default(false)
    .describe('Lets the name resolve to private and link-local addresses; default false'),
  tls: z
    .strictObject({
      ca: pemFile(context).exactOptional().describe('PEM file of the authorities to trust instead of the system’s'),
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

interface AddressKeys {
  readonly url: string;
  readonly allowPlaintext: boolean;
  readonly allowPrivateAddresses: boolean;
}

export function checkAddress(
  { url: text, allowPlaintext, allowPrivateAddresses }: AddressKeys,
  context: z.RefinementCtx,
): void {
  const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['url'], message });
  if (!URL.canParse(text)) return;
  const url = new URL(text);
  if (url.protocol === 'http:' && !isLoopback(url) && !allowPlaintext) {
    refuse('Write https, or set `allowPlaintext: true`: plain http carries calls and credentials in the open.');
  }
  if (isSpecialLiteral(url) && !allowPrivateAddresses)
    refuse('Set `allowPrivateAddresses: true`: this is an unspecified or link-local address.');
}
