// Certificates and authorities that are replaced on disk while the gateway runs. Pins the kind "read once": the
// listeners' certificates, the authorities of an upstream, of a credential's issuer and of a TokenReview take effect
// without a restart, and an unrelated edit of the configuration still does.

import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Certificates, createCertificates, hasOpenssl } from '../support/certificates.ts';
import { rule, ruleOf } from '../support/config.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';

const PATIENCE = { timeout: 20_000, interval: 200 };

/** Replaces a file as certbot and Kubernetes do: at once. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.next`, text);
  renameSync(`${path}.next`, path);
}

/** The serial number that a listener shows. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe.skipIf(!hasOpenssl)('a file that is replaced (skipped where openssl is absent)', () => {
  let old: Certificates;
  let renewed: Certificates;
  let env: Environment;
  let tls: Environment;
  let upstream: Server;
  let issuer: Server;
  const asked: string[] = [];

  beforeAll(async () => {
    [old, renewed] = [createCertificates(), createCertificates()];
    const leaf = old.issue(['DNS:localhost', 'IP:127.0.0.1']);
    upstream = createServer(leaf, (_request, response) => response.end('{}'));
    issuer = createServer(leaf, (request, response) => {
      asked.push(request.url ?? '');
      const body = request.url?.includes('tokenreviews')
        ? { status: { authenticated: true, audiences: ['https://gateway.test'], user: { username: 'agent-1' } } }
        : {
            auth: { client_token: 'login-literal', policies: ['default'], lease_duration: 1 },
            data: { value: 'vault-secret-literal' },
          };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    for (const server of [upstream, issuer]) await once(server.listen(0, '127.0.0.1'), 'listening');
    const at = (server: Server): string => `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    env = await startEnvironment(
      ({ folder }) => {
        for (const name of ['upstream-ca', 'issuer-ca', 'review-ca'])
          writeFileSync(join(folder, `${name}.pem`), old.ca);
        return {
          upstreams: {
            secure: { url: at(upstream), tls: { ca: 'upstream-ca.pem' } },
            sealed: { url: at(upstream), tls: { ca: 'upstream-ca.pem' }, credential: 'sealed' },
          },
          credentials: {
            sealed: {
              type: 'vault',
              address: at(issuer),
              ca: 'issuer-ca.pem',
              login: { role: 'r', token: { env: 'WIT' } },
              path: 'kv/x',
              inject: { in: 'header', field: 'value' },
            },
          },
          rules: [rule.allow('all')],
        };
      },
      { env: { WIT: 'jwt-literal' } },
    );
    tls = await startEnvironment(({ folder }) => {
      const { cert, key } = leaf;
      for (const plane of ['agents', 'reviewers']) {
        writeFileSync(join(folder, `${plane}.pem`), cert);
        writeFileSync(join(folder, `${plane}.key`), key);
      }
      return {
        listeners: {
          agents: { tls: { certificate: 'agents.pem', key: { file: 'agents.key' } } },
          reviewers: { tls: { certificate: 'reviewers.pem', key: { file: 'reviewers.key' } } },
        },
      };
    });
  }, 120_000);
  afterAll(async () => {
    await Promise.all([env.close(), tls.close()]);
    for (const server of [upstream, issuer]) {
      server.close();
      server.closeAllConnections();
    }
    old.remove();
    renewed.remove();
  });

  it.each(['agents', 'reviewers'] as const)(
    'is what the %s’ listener shows, once certificate and key fit; open connections stay',
    async (plane) => {
      const port = tls.ports[plane];
      const before = await shownBy(port);
      const { cert, key } = renewed.issue(['DNS:localhost']);
      replace(join(tls.folder, `${plane}.pem`), cert);
      await tls.logged('tls.certificate.refused');
      expect(await shownBy(port)).toBe(before);
      replace(join(tls.folder, `${plane}.key`), key);
      await expect.poll(() => shownBy(port), PATIENCE).not.toBe(before);
    },
  );

  it('keeps the listener at what it had when what comes is no certificate', async () => {
    const before = await shownBy(tls.ports.agents);
    replace(join(tls.folder, 'agents.pem'), 'no certificate');
    // What has nothing to do with it is taken all the same.
    expect(
      await tls.edit((config) => {
        ruleOf(config, 'transfers').match.path = '/transfers/*';
      }),
    ).toBe('config.reloaded');
    expect(await shownBy(tls.ports.agents)).toBe(before);
  });

  it('is trusted for an upstream, and what it replaces no longer is', async () => {
    expect((await env.call('/secure/x')).status).toBe(200);
    const leaf = renewed.issue(['IP:127.0.0.1']);
    upstream.setSecureContext(leaf);
    upstream.closeAllConnections();
    await expect.poll(async () => (await env.call('/secure/x')).status, PATIENCE).toBe(502);
    replace(join(env.folder, 'upstream-ca.pem'), renewed.ca);
    await expect.poll(async () => (await env.call('/secure/x')).status, PATIENCE).toBe(200);
  });

  it('is trusted for the issuer of a credential', async () => {
    expect((await env.call('/sealed/x')).status).toBe(200);
    issuer.setSecureContext(renewed.issue(['IP:127.0.0.1']));
    issuer.closeAllConnections();
    replace(join(env.folder, 'issuer-ca.pem'), renewed.ca);
    const before = asked.length;
    // Each from somebody else: nobody's credential is shared.
    await expect
      .poll(async () => (await env.call('/sealed/x', { as: `agent-${performance.now()}` })).status, PATIENCE)
      .toBe(200);
    await expect
      .poll(
        async () =>
          (await env.call('/sealed/x', { as: `agent-${performance.now()}` })).status === 200 &&
          asked.length > before + 1,
        PATIENCE,
      )
      .toBe(true);
  });

  it('stands in no way of an edit that has nothing to do with it', async () => {
    expect(
      await env.edit((config) => {
        ruleOf(config, 'all').id = 'everything';
      }),
    ).toBe('config.reloaded');
  });

  it('is told by its remaining time', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${env.ports.ops}/metrics`)).text();
    for (const name of ['upstreams.secure.tls.ca', 'credentials.sealed.ca']) {
      const [, seconds = ''] =
        new RegExp(`countersign_certificate_remaining_seconds\\{[^}]*${name}[^}]*\\} (\\S+)`).exec(metrics) ?? [];
      expect(Number(seconds)).toBeGreaterThan(0);
    }
  });
});
