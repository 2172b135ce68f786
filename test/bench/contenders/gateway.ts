// The whole product doing its whole job on an allowed call: an ES256 token, 20 rules with conditions, an injected
// header credential, the audit journal, and spans of which 10 % are sampled and exported. Prints its port.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startGateway } from '../../../src/assembly/gateway.ts';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { credential, rule } from '../../support/config.ts';

const upstream = process.argv[2] as string;
const issuer = process.argv[3] as string;
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
Object.assign(process.env, {
  OTEL_EXPORTER_OTLP_ENDPOINT: issuer,
  OTEL_TRACES_SAMPLER: 'traceidratio',
  OTEL_TRACES_SAMPLER_ARG: '0.1',
  BENCH_SECRET: 'bench-secret-0123456789',
});

const when = `agent.issuer == "${issuer}" && request.params.id != "x"`;
const config: ConfigInput = {
  listeners: {
    agents: { address: '127.0.0.1:0' },
    reviewers: { address: '127.0.0.1:0', url: 'http://127.0.0.1:8081' },
    ops: { address: '127.0.0.1:0' },
  },
  store: { type: 'sqlite', path: 'store.db' },
  audit: { path: 'audit' },
  identity: {
    audience: ['https://gateway.example.org'],
    issuers: [{ name: 'bench', type: 'oidc', issuer, algorithms: ['ES256'] }],
  },
  upstreams: { api: { url: upstream, credential: 'key' } },
  credentials: {
    key: credential.bearer('BENCH_SECRET'),
  },
  rules: Array.from({ length: 20 }, (_, i) =>
    rule.allow(`r${i}`, { upstream: 'api', methods: ['GET'], path: `/r${i}/:id` }, { when }),
  ),
};
const configPath = join(folder, 'countersign.yaml');
writeFileSync(configPath, stringify(config));
const gateway = await startGateway(configPath, { logTo: { write() {} } });
process.stdout.write(`port ${gateway.ports.agents}\n`);
process.once('SIGTERM', () => void gateway.close().then(() => process.exit()));
