// The whole product doing its whole job on an allowed call: an ES256 token, 20 rules with conditions, an injected header
// credential, the audit journal, and spans of which 10 % are sampled and exported. Prints its port and a token.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { startGateway } from '../../../src/gateway.ts';

const upstream = process.argv[2] as string;
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
const { privateKey, publicKey } = await generateKeyPair('ES256');
const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };

// One small server is issuer and span sink.
const side = createServer((request, response) => {
  request.resume();
  const issuer = `http://127.0.0.1:${(side.address() as AddressInfo).port}`;
  const json = request.url?.endsWith('openid-configuration') ? { issuer, jwks_uri: `${issuer}/jwks` } : request.url === '/jwks' ? { keys: [jwk] } : {};
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(json));
});
await new Promise<void>((resolve) => side.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${(side.address() as AddressInfo).port}`;

Object.assign(process.env, {
  OTEL_EXPORTER_OTLP_ENDPOINT: issuer,
  OTEL_TRACES_SAMPLER: 'traceidratio',
  OTEL_TRACES_SAMPLER_ARG: '0.1',
  BENCH_SECRET: 'bench-secret-0123456789',
});

const rules = Array.from(
  { length: 20 },
  (_, i) =>
    `  - { id: r${i}, match: { upstream: api, methods: [GET], path: "/r${i}/:id" }, when: 'agent.issuer == "${issuer}" && request.params.id != "x"', decide: allow }`,
);
const config = join(folder, 'countersign.yaml');
writeFileSync(
  config,
  `listeners:
  agents: { address: 127.0.0.1:0 }
  reviewers: { address: 127.0.0.1:0, url: http://127.0.0.1:8081 }
  ops: { address: 127.0.0.1:0 }
store: { type: sqlite, path: ${join(folder, 'store.db')} }
audit: { path: ${join(folder, 'audit')} }
identity:
  audience: [https://gateway.example.org]
  issuers: [{ name: bench, type: oidc, issuer: ${issuer}, algorithms: [ES256] }]
upstreams:
  api: { url: ${upstream}, credential: key }
credentials:
  key: { type: static, in: header, name: authorization, format: "Bearer {secret}", secret: { env: BENCH_SECRET } }
rules:
${rules.join('\n')}
`,
);
const gateway = await startGateway(config, { logTo: { write() {} } });
const token = await new SignJWT({})
  .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
  .setIssuer(issuer)
  .setSubject('bench')
  .setAudience('https://gateway.example.org')
  .setIssuedAt()
  .setExpirationTime('1h')
  .sign(privateKey);
process.stdout.write(`port ${gateway.ports.agents} ${token}\n`);
process.once('SIGTERM', () => void gateway.close().then(() => process.exit()));
