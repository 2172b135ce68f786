// The agents' listener over plain HTTP, TLS and mTLS, with identity and nothing behind it. Forked by tls-cost.ts: it
// tells where it listens, and what it has spent so far (µs of CPU) whenever it is asked.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { receiveRequest } from '../../../src/actions/receive.ts';
import { systemClock } from '../../../src/domain/clock.ts';
import { silentLog } from '../../../src/domain/log.ts';
import { noMetrics } from '../../../src/domain/metrics.ts';
import { createBoundedServer, type Listening, type ListenOptions, listen } from '../../../src/listeners/listen.ts';
import { createSigningKey, signToken } from '../../identity/issuer.ts';
import { feedOf } from '../../support/certificates.ts';
import { identityOf } from '../../support/identities.ts';
import { bundleDocument, createAuthority } from '../../support/spiffe-authority.ts';

const key = createSigningKey('jwt', 'ES256', 'jwt-svid');
const root = await createAuthority('prod.test');
const own = await root.issue({ uris: ['spiffe://prod.test/gateway'], dns: ['localhost'] });
const workload = await root.issue();
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
const bundle = join(folder, 'bundle.json');
writeFileSync(bundle, bundleDocument([root], {}, [key.jwk]));
const identity = identityOf(
  {
    audience: ['gateway'],
    issuers: [{ name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: { file: bundle } }],
  },
  { clock: systemClock, log: silentLog, metrics: noMetrics },
);
await identity.start();

function start(clientCertificates?: 'none' | 'require'): Promise<Listening> {
  const tls = { feed: feedOf(own.pem, own.keyPem), ...(clientCertificates && { clientCertificates }) };
  const options: ListenOptions = { address: { host: '127.0.0.1', port: 0 }, ...(clientCertificates && { tls }) };
  const server = createBoundedServer(options);
  server.on('request', async (incoming, response) => {
    const request = receiveRequest(incoming, response, { id: randomUUID(), receivedAt: Date.now(), hosts: 'any' });
    try {
      await identity.identify(request);
      response.end('{"ok":true}');
    } catch {
      response.writeHead(401).end();
    }
  });
  return listen(server, options);
}

const [plain, tls, mtls] = await Promise.all([start(), start('none'), start('require')]);
const now = Math.floor(Date.now() / 1000);
const token = signToken(
  { alg: 'ES256', kid: 'jwt' },
  { sub: 'spiffe://prod.test/agent', aud: 'gateway', iat: now, exp: now + 3000 },
  key,
);
process.on('message', () => process.send?.(process.cpuUsage()));
process.send?.({
  ports: { plain: plain.port, tls: tls.port, mtls: mtls.port },
  ca: root.pem,
  cert: workload.pem,
  key: workload.keyPem,
  token,
});
await once(process, 'disconnect');
rmSync(folder, { recursive: true, force: true });
process.exit(0);
