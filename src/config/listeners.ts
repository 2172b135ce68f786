// The sections about this process: where it listens, where it keeps things, how much it takes.

import { z } from 'zod';
import { listenAddress, originUrl, secureUrl, workloadApiAddress } from '../settings/addresses.ts';
import { type ConfigContext, path, pemFile, secret } from '../settings/paths-and-secrets.ts';
import { duration, size } from '../settings/units.ts';
import { laterType } from './unsupported.ts';

const serverTls = (around: ConfigContext) =>
  z.strictObject({
    certificate: pemFile(around).describe('PEM file: the certificate and its intermediates'),
    key: secret(around).describe('The private key, PEM'),
  });

const agentsTls = (around: ConfigContext) =>
  serverTls(around)
    .partial()
    .extend({
      workloadApi: workloadApiAddress()
        .exactOptional()
        .describe('Instead of certificate and key: the gateway’s own X.509-SVID from this Workload API'),
      clientCertificates: z
        .enum(['none', 'accept', 'require'])
        .default('none')
        .describe('Whether agents may (accept) or must (require) show a certificate, over TLS 1.3 only; default none'),
    })
    .transform(({ certificate, key, workloadApi, clientCertificates }, context) => {
      if (certificate !== undefined && key !== undefined && workloadApi === undefined)
        return { certificate, key, clientCertificates };
      if (certificate === undefined && key === undefined && workloadApi !== undefined)
        return { workloadApi, clientCertificates };
      context.addIssue({ code: 'custom', message: 'Give either certificate and key, or workloadApi.' });
      return z.NEVER;
    });

const authority = () =>
  z
    .string()
    .regex(/^([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/, { error: 'Write a host or host:port, in lower case.' });

export const listeners = (around: ConfigContext) =>
  z.strictObject({
    agents: z
      .strictObject({
        address: listenAddress().describe('Where agents call: host:port'),
        url: originUrl()
          .exactOptional()
          .describe(
            'How agents reach it from outside, without a path: DPoP proofs and MCP metadata name it; default: the Host that they call',
          ),
        hosts: z
          .array(authority())
          .min(1)
          .exactOptional()
          .describe('Values of Host that name this gateway, compared exactly; default: any valid one'),
        maxConnections: z
          .int()
          .min(8)
          .max(1_000_000)
          .exactOptional()
          .describe(
            'Most connections that are open at a time; default: a share of the files that the process may open, at most 32768',
          ),
        tls: agentsTls(around).exactOptional().describe('Without it the listener speaks plain HTTP'),
      })
      .describe('The agents’ plane'),
    reviewers: z
      .strictObject({
        address: listenAddress()
          .prefault('127.0.0.1:8081')
          .describe('Where reviewers sign in and vote; default 127.0.0.1:8081'),
        url: secureUrl()
          .exactOptional()
          .describe('How reviewers reach it from outside, without a path; default: the address itself'),
        tls: serverTls(around).exactOptional().describe('Without it the listener speaks plain HTTP'),
      })
      .prefault({})
      .describe('The reviewers’ plane'),
    ops: z
      .strictObject({
        address: listenAddress()
          .prefault('127.0.0.1:8082')
          .describe('Serves /livez, /readyz and /metrics; default 127.0.0.1:8082'),
        hosts: z
          .array(authority())
          .min(1)
          .exactOptional()
          .describe(
            'Names besides literal addresses and localhost by which it is called, such as the name that Prometheus scrapes; without a port they mean any port',
          ),
      })
      .prefault({})
      .describe('For operators; never expose it'),
  });

export const store = (around: ConfigContext) =>
  z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('sqlite'),
      path: path(around).describe('The database file; it is made when missing'),
    }),
    laterType('postgres'),
  ]);

export const audit = (around: ConfigContext) =>
  z.strictObject({
    path: path(around).describe('Folder of the audit log; it is made when missing'),
    durability: z
      .enum(['held', 'all'])
      .default('held')
      .describe(
        'Which calls wait until their record is on disk: held ones and those with a credential of their own, or all; default held',
      ),
  });

export const limits = () =>
  z
    .strictObject({
      heldBody: size({ least: '1KiB', most: '64MiB' })
        .prefault('1MiB')
        .describe('Largest body of a call that may be held; default 1MiB'),
      inspectedBody: size({ least: '1KiB', most: '64MiB' })
        .prefault('1MiB')
        .describe('Largest JSON body that conditions read; default 1MiB'),
      header: size({ least: '1KiB', most: '256KiB' })
        .prefault('16KiB')
        .describe('Largest header section; default 16KiB'),
      wait: duration({ least: '0s', most: '1h' })
        .prefault('50s')
        .describe('Longest time that a held call waits on its connection; default 50s'),
      callsPerAgent: z
        .int()
        .min(1)
        .max(1_000_000)
        .exactOptional()
        .describe(
          'Most calls of one agent that are under way at a time, those that wait for people among them; default: 1000 or less, by the open files',
        ),
      pendingPerAgent: z
        .int()
        .min(1)
        .max(10_000)
        .default(10)
        .describe('Most holds of one agent that wait at a time; default 10'),
      holdsPerHourPerAgent: z
        .int()
        .min(1)
        .max(10_000_000)
        .exactOptional()
        .describe(
          'Most holds that one agent opens within an hour, whatever became of them; default 60 times pendingPerAgent, and at least 600',
        ),
      openTasksPerAgent: z
        .int()
        .min(1)
        .max(1_000_000)
        .default(1_000)
        .describe('Most tasks of one agent that have not ended; default 1000'),
      storedPerAgent: size({ least: '64KiB', most: '1024GiB' })
        .prefault('256MiB')
        .describe(
          'Most that the store keeps of one agent: holds with their bodies, tasks and their calls; default 256MiB',
        ),
      drain: duration({ least: '0s', most: '10m' })
        .prefault('10s')
        .describe('How long running calls may take to end at shutdown; default 10s'),
    })
    .transform(
      ({
        heldBody,
        inspectedBody,
        header,
        wait,
        callsPerAgent,
        pendingPerAgent,
        holdsPerHourPerAgent,
        openTasksPerAgent,
        storedPerAgent,
        drain,
      }) => ({
        heldBodyBytes: heldBody,
        inspectedBodyBytes: inspectedBody,
        headerBytes: header,
        waitMs: wait,
        ...(callsPerAgent !== undefined && { callsPerAgent }),
        pendingPerAgent,
        holdsPerHourPerAgent: holdsPerHourPerAgent ?? Math.max(600, 60 * pendingPerAgent),
        openTasksPerAgent,
        storedBytesPerAgent: storedPerAgent,
        drainMs: drain,
      }),
    );
