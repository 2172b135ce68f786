// What may be written for GitHub, AWS, Vault and Kubernetes credentials, and which mistakes are found when the file is
// read.

import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { faultsIn, withSections } from './files.ts';

const faults = (credential: string) => faultsIn(withSections({ credentials: `{ a: ${credential} }` }));
const load = (credential: string) =>
  parseConfig(withSections({ credentials: `{ a: ${credential} }` }), '/nowhere/countersign.yaml', undefined, {
    TOKEN: 'secret-text',
  }).credentials.a;

const GITHUB = 'type: github-app, appId: 1, installationId: 2, privateKey: { env: TOKEN }';
const AWS =
  'type: aws-sts, roleArn: "arn:aws:iam::123456789012:role/agents", webIdentityToken: { env: TOKEN }, region: eu-central-1, service: s3';
const VAULT =
  'type: vault, address: "https://vault.example", login: { role: r, token: { env: TOKEN } }, path: "database/creds/{role}", inject: { in: basic }';
const KUBERNETES = 'type: kubernetes, token: { env: TOKEN }, serviceAccounts: [shop/deployer]';

describe('defaults', () => {
  test('are the narrowest and shortest that the provider knows', () => {
    expect(load(`{ ${GITHUB} }`)).toMatchObject({ url: 'https://api.github.com', share: false, timeoutMs: 5_000 });
    expect(load(`{ ${AWS} }`)).toMatchObject({ durationMs: 900_000, unsignedPayload: false });
    expect(load(`{ ${VAULT} }`)).toMatchObject({
      login: { mount: 'jwt' },
      longestLeaseMs: 3_600_000,
      inject: { usernameField: 'username' },
    });
    expect(load(`{ ${KUBERNETES} }`)).toMatchObject({ server: 'https://kubernetes.default.svc', durationMs: 600_000 });
  });
});

describe('a fault is found', () => {
  test.each([
    ['a key written into the file', `{ ${GITHUB.replace('{ env: TOKEN }', '"-----BEGIN"')} }`, 'privateKey'],
    ['a permission level that does not exist', `{ ${GITHUB}, permissions: { contents: all } }`, 'permissions.contents'],
    ['GitHub over plain http', `{ ${GITHUB}, url: "http://github.example" }`, 'url'],
    ['a role that is no role', `{ ${AWS.replace('role/agents', 'user/agents')} }`, 'roleArn'],
    ['a session that AWS would not give', `{ ${AWS}, duration: 5m }`, 'duration'],
    ['STS over plain http', `{ ${AWS}, endpoint: "http://sts.example" }`, 'endpoint'],
    ['Vault over plain http', `{ ${VAULT.replace('https', 'http')} }`, 'address'],
    ['a path that climbs', `{ ${VAULT.replace('database/creds/{role}', 'database/../sys/raw')} }`, 'path'],
    [
      'a field that frames the message',
      `{ ${VAULT.replace('in: basic', 'in: header, name: Host, field: x')} }`,
      'inject.name',
    ],
    [
      'a format without its secret',
      `{ ${VAULT.replace('in: basic', 'in: header, format: Bearer, field: x')} }`,
      'inject.format',
    ],
    [
      'a service account without a namespace',
      `{ ${KUBERNETES.replace('shop/deployer', 'deployer')} }`,
      'serviceAccounts.0',
    ],
    ['a token that Kubernetes would not give', `{ ${KUBERNETES}, duration: 5m }`, 'duration'],
    ['an authority that is not there', `{ ${KUBERNETES}, ca: nowhere.pem }`, 'ca'],
    ['a key that nobody knows', `{ ${KUBERNETES}, ttl: 5m }`, ''],
  ])('for %s', (_, credential, path) => {
    const found = faults(credential);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^credentials\\.a${path === '' ? '' : `\\.${path.replaceAll('.', '\\.')}`}`));
  });
});
