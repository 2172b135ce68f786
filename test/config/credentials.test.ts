import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { createJwtSigner } from '../../src/credentials/jwt-signer.ts';
import { signingKeyFrom } from '../../src/credentials/signing-key.ts';
import { createProvider, describeCredential } from '../../src/credentials/types.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { fetchTrusting } from '../../src/upstream/issuer-fetch.ts';
import { privateKey, secretOf } from '../support/signing.ts';
import { faultsIn, withSections } from './files.ts';

const SIGNING = '{ issuer: https://gateway.example.org/countersign }';
const OAUTH = 'issuer: https://idp.example.org, clientId: gw';
const POOL = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x';
const withCredential = (credential: string, signing: string | undefined = SIGNING) =>
  withSections({ credentials: `{ key: { ${credential} } }`, ...(signing !== undefined && { signing }) });
const tools = {
  clock: systemClock,
  signer: createJwtSigner(
    'https://gateway.example.org/countersign',
    signingKeyFrom(secretOf(privateKey())),
    systemClock,
  ),
  fetchTrusting,
  fetchJwtSvid: () => Promise.reject(new Error('not asked while providers are made')),
};

describe('credentials', () => {
  it.each([
    `type: oauth-client-credentials, ${OAUTH}, clientSecret: { env: TOKEN }, timeout: 2s, maxLifetime: 1h`,
    `type: oauth-client-credentials, ${OAUTH}, clientAuth: private_key_jwt, clientKey: { env: TOKEN }, clientKeyId: k1`,
    `type: token-exchange, ${OAUTH}, clientSecret: { env: TOKEN }, subjectTokenType: a, actorToken: { env: TOKEN }, actorTokenType: b`,
    `type: token-exchange, ${OAUTH}, clientSecret: { env: TOKEN }, subjectToken: { gateway: { subject: team } }, actorToken: agent`,
    `type: token-exchange, ${OAUTH}, clientAuth: none, actorToken: { gateway: {} }`,
    `type: jwt-bearer, ${OAUTH}, clientSecret: { env: TOKEN }, assertion: agent`,
    `type: jwt-bearer, ${OAUTH}, clientAuth: none, assertion: { key: { env: TOKEN }, issuer: a, subject: b, audience: c, keyId: d }`,
    'type: azure-federated, tenant: t, clientId: c, scope: https://vault.azure.net/.default, assertion: { env: TOKEN }',
    'type: azure-federated, tenant: t, clientId: c, scope: https://vault.azure.net/.default, assertion: { gateway: { subject: s } }',
    `type: gcp-wif, audience: "${POOL}", serviceAccount: a@b.example, lifetime: 10m, subjectToken: agent`,
    'type: signed-jwt, audience: https://ledger.example.org, lifetime: 1m, header: X-Assertion',
    'type: spiffe-jwt, workloadApi: unix:///run/spire/agent.sock, audience: https://ledger.example.org, header: X-Svid',
  ])('make a provider of { %s }', (credential) => {
    const config = parseConfig(withCredential(credential), '/etc/countersign.yaml', undefined, {
      TOKEN: 'secret-text',
    });
    const key = config.credentials.key;
    if (key === undefined) throw new Error('no credential');
    expect(createProvider(key, tools).type).toBe(key.type);
  });

  it.each([
    [`type: oauth-client-credentials, ${OAUTH}, clientSecret: { env: TOKEN }`, 'taken back when it is over'],
    [`type: oauth-client-credentials, ${OAUTH}, clientSecret: { env: TOKEN }, revoke: false`, 'it ends by itself'],
    ['type: signed-jwt, audience: https://ledger.example.org', 'by signed-jwt, made for this call; it ends by itself'],
    ['type: static, in: query, name: key, secret: { env: TOKEN }', 'a fixed secret: it is not made for this call'],
    ['type: kubernetes, token: { env: TOKEN }, serviceAccounts: [shop/deployer]', 'ended when it is over'],
  ])('say to reviewers when they end: { %s }', (credential, sentence) => {
    const { credentials } = parseConfig(withCredential(credential), '/etc/countersign.yaml', undefined, {
      TOKEN: 'secret-text',
    });
    expect(credentials.key && describeCredential(credentials.key)).toContain(sentence);
  });

  it('make a provider of a module that is found from the file’s folder', () => {
    const credential =
      'type: module, path: ./ticket-provider.ts, options: { desk: "https://desk.example.org", user: gw, rights: [read] }, timeout: 3s';
    const config = parseConfig(withCredential(credential), join(process.cwd(), 'config/examples/countersign.yaml'));
    const key = config.credentials.key;
    if (key === undefined) throw new Error('no credential');
    expect(createProvider(key, tools).type).toBe('ticket');
  });

  it.each([
    [`type: oauth-client-credentials, ${OAUTH}`, 'credentials.key.clientSecret: This key is required.'],
    [
      `type: oauth-client-credentials, ${OAUTH}, clientAuth: private_key_jwt`,
      'credentials.key.clientKey: This key is required.',
    ],
    [
      `type: oauth-client-credentials, ${OAUTH}, clientAuth: private_key_jwt, clientSecret: { env: TOKEN }, clientKey: { env: TOKEN }`,
      'credentials.key.clientSecret: Not with clientAuth: private_key_jwt.',
    ],
    [
      `type: jwt-bearer, ${OAUTH}, clientSecret: { env: TOKEN }, assertion: { env: GONE }`,
      'credentials.key.assertion: The environment variable GONE is missing',
    ],
    [
      `type: jwt-bearer, ${OAUTH}, clientSecret: { env: TOKEN }, assertion: me`,
      'credentials.key.assertion: Write { file: PATH }, { env: NAME }',
    ],
    [
      'type: azure-federated, tenant: t, clientId: c, scope: User.Read, assertion: { env: TOKEN }',
      'credentials.key.scope: Write <resource>/.default.',
    ],
    ['type: gcp-wif, audience: pool, subjectToken: agent', 'credentials.key.audience: Write //iam.googleapis.com/'],
    ['type: signed-jwt, audience: a, lifetime: 1h', 'credentials.key.lifetime: Write a value from 1m to 5m.'],
    ['type: signed-jwt, audience: a, header: host', 'credentials.key.header: '],
    [
      'type: module, path: ./nothing.ts',
      'credentials.key.path: There is no readable file at this path. A relative path starts at the folder of the configuration file.',
    ],
    ['type: module, path: ./nothing.ts, secrets: { a: plain }', 'credentials.key.secrets.a: Write `{ env: NAME }`'],
    ['type: spiffe-jwt, workloadApi: unix:///a.sock', 'credentials.key.audience: This key is required.'],
    [
      'type: spiffe-jwt, audience: a, workloadApi: https://agent.example.org',
      'credentials.key.workloadApi: Write unix:///path or tcp://ip:port.',
    ],
    [
      'type: spiffe-jwt, audience: a, workloadApi: unix:///a.sock, scope: read',
      'credentials.key.scope: There is no such key here. Keys: `type`, `workloadApi`, `audience`, `header`.',
    ],
  ])('are refused for { %s }', (credential, fault) => {
    expect(faultsIn(withCredential(credential)).join('\n')).toContain(fault);
  });

  it.each([
    ['type: signed-jwt, audience: a', 'type'],
    [`type: jwt-bearer, ${OAUTH}, clientAuth: none, assertion: { gateway: {} }`, 'assertion.gateway'],
    [`type: token-exchange, ${OAUTH}, clientAuth: none, actorToken: { gateway: {} }`, 'actorToken.gateway'],
    [`type: gcp-wif, audience: "${POOL}", subjectToken: { gateway: {} }`, 'subjectToken.gateway'],
  ])('that the gateway would sign need signing: { %s }', (credential, at) => {
    const faults = faultsIn(withSections({ credentials: `{ key: { ${credential} } }` }));
    const message = 'Set `signing.issuer`: this credential needs the gateway to sign tokens.';
    expect(faults).toEqual([`credentials.key.${at}: ${message}`]);
  });
});

describe('signing', () => {
  it.each([
    ['{ issuer: http://gateway.example.org/countersign }', 'signing.issuer: '],
    ['{ issuer: https://gateway.example.org }', 'signing.issuer: Write the public URL'],
    [
      '{ issuer: https://gateway.example.org/countersign, rotateEvery: 3h, overlap: 2h }',
      'signing.rotateEvery: Write at least twice the `overlap`.',
    ],
    ['{ issuer: https://gateway.example.org/countersign, keys: [] }', 'signing.keys'],
  ])('refuses %s', (signing, fault) => {
    expect(faultsIn(withSections({ signing })).join('\n')).toContain(fault);
  });
});
