// The section about listeners: where agents, reviewers and operators reach the gateway, and with which certificate. Only
// the listener of agents is meant for a network that is not trusted.

import { z } from 'zod';
import { listenAddress, originUrl, secureUrl, workloadApiAddress } from '../settings/addresses.ts';
import { type ConfigContext, pemFile, secret } from '../settings/paths-and-secrets.ts';

const serverTls = (context: ConfigContext) =>
  z.strictObject({
    certificate: pemFile(context).describe('PEM file: the certificate and its intermediates'),
    key: secret(context).describe('The private key, PEM'),
  });

const agentsTls = (context: ConfigContext) =>
  serverTls(context)
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
    .transform(({ certificate, key, workloadApi, clientCertificates }, issues) => {
      if (certificate !== undefined && key !== undefined && workloadApi === undefined)
        return { certificate, key, clientCertificates };
      if (certificate === undefined && key === undefined && workloadApi !== undefined)
        return { workloadApi, clientCertificates };
      issues.addIssue({ code: 'custom', message: 'Set `certificate` and `key`, or `workloadApi` alone.' });
      return z.NEVER;
    });

const authority = () =>
  z.string().regex(/^([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/, {
    error: 'Write a host or host:port in lower case, like gateway.example.org.',
  });

export const listeners = (context: ConfigContext) =>
  z.strictObject({
    agents: z
      .strictObject({
        address: listenAddress().describe('Where agents call: host:port'),
        url: originUrl()
          .exactOptional()
          .describe(
            'URL under which agents reach it, without a path: DPoP proofs and MCP metadata name it; default: ' +
              'the Host that they call',
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
            'Most connections that are open at a time; default: a share of the files that the process may ' +
              'open, at most 32768',
          ),
        tls: agentsTls(context).exactOptional().describe('Without it the listener speaks plain HTTP'),
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
        tls: serverTls(context).exactOptional().describe('Without it the listener speaks plain HTTP'),
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
            'Names besides literal addresses and localhost by which it is called, such as the name that ' +
              'Prometheus scrapes; without a port they mean any port',
          ),
      })
      .prefault({})
      .describe('For operators; never expose it'),
  });
