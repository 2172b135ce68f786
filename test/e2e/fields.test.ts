// Header fields beside the gateway's own. Two kinds: fields and query parameters by which an upstream would take
// somebody's word for who is asking (beside an injected credential none passes), and fields that a held call would lose
// although they change what it does (refused before anybody is asked).

import { describe, expect } from 'vitest';
import { awsRefusal } from '../support/aws-verifier.ts';
import { credential, rule } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { sendRaw } from '../support/raw-http.ts';
import { startRecorder } from '../support/recorder.ts';
import { startSts } from '../support/sts-server.ts';

const it = gatewayTest
  .extend('sts', file, ({ closes }) => closes(startSts(), (sts) => sts.stop()))
  .extend('s3', file, ({ closes }) => closes(startRecorder()))
  .extend('env', file, ({ sts, s3, environment }) =>
    environment(
      ({ origin }) => ({
        upstreams: {
          open: { url: origin },
          picky: {
            url: origin,
            credential: 'key',
            forwardHeaders: ['X-Hasura-Role', 'x-acme-*'],
            boundHeaders: ['destination', 'overwrite'],
          },
          s3: { url: s3.origin, credential: 'aws' },
        },
        credentials: {
          aws: { ...credential.awsRole(sts.origin), actions: ['s3:*'], resources: ['*'] },
        },
        rules: [rule.allow('reads', { methods: ['GET'] }), rule.hold('writes', { methods: ['PUT', 'POST', 'DELETE'] })],
      }),
      { env: { WIT: 'web-identity-token-literal' } },
    ),
  )
  // How much the upstream had got when the test began.
  .extend('before', { auto: true }, ({ env }) => env.upstream.requests.length);

async function sent(
  env: Environment,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, unknown>>> {
  const before = env.upstream.requests.length;
  expect((await env.call(path, { headers })).status).toBe(200);
  return (await env.upstream.arrived(before)).headers;
}

const IDENTITIES = [
  ...[
    'impersonate-user',
    'impersonate-group',
    'impersonate-extra-scopes',
    'x-remote-user',
    'x-remote-extra-acme.com%2Fproject',
    'sudo',
    'private-token',
    'job-token',
  ],
  ...[
    'x-webauth-user',
    'x-webauth-role',
    'remote-user',
    'remote-groups',
    'x-auth-request-email',
    'x-authentik-username',
    'x-authenticated-userid',
    'x-consumer-custom-id',
  ],
  ...[
    'x-goog-authenticated-user-email',
    'x-goog-iap-jwt-assertion',
    'x-goog-user-project',
    'x-hasura-role',
    'x-hasura-admin-secret',
    'x-forwarded-email',
    'x-forwarded-user',
  ],
  ...[
    'x-ms-client-principal',
    'x-ms-client-principal-id',
    'x-ms-token-aad-access-token',
    'ocp-apim-subscription-key',
    'mscrmcallerid',
    'x-amzn-oidc-data',
    'x-amz-security-token',
  ],
  ...[
    'cf-access-jwt-assertion',
    'cf-access-client-secret',
    'tailscale-user-login',
    'x-vault-token',
    'x-consul-token',
    'x-nomad-token',
    'x-api-key',
    'api-key',
    'x-auth-token',
  ],
  ...[
    'stripe-account',
    'as-user',
    'x-scope-orgid',
    'iv-user',
    'sm-user',
    'x-trino-user',
    'x-clickhouse-key',
    'es-security-runas-user',
    'x-proxy-roles',
    'x-pomerium-claim-email',
  ],
  ...[
    'x-acme2-user-id',
    'x-whoever-username',
    'x-tenant-id',
    'x-some-principal',
    'x-run-as',
    'x-original-user',
    'x-ssl-client-dn',
    'dapr-api-token',
    'x-spinnaker-user',
    'from',
  ],
  ...'x-grafana-id x-zumo-auth x-arr-clientcert x-client-cert-spiffe x-appengine-inbound-appid x-proxiedentitieschain es-client-authentication'.split(
    ' ',
  ),
  ...'dd-api-key x-rapidapi-key x-figma-token x-usertoken session-token vmware-api-session-id x-tyk-authorization oidc-claim-sub mellon-name-id'.split(
    ' ',
  ),
  ...'x-project-id x-jwt-claim-sub x-scopes x-permissions x-spiffe-id x-service-account x-caller-id cf-connecting-ip fastly-client-ip x-agent-id'.split(
    ' ',
  ),
];

describe('an injected credential', () => {
  it.for(IDENTITIES)('is not joined by the agent’s own %s', async (name, { env, before }) => {
    expect(Object.keys(await sent(env, '/api/x', { [name]: 'admin', 'x-kept': '1' }))).toEqual(
      expect.not.arrayContaining([name]),
    );
    expect((await env.upstream.arrived(before)).headers).toMatchObject({ 'x-kept': '1' });
  });

  it.for(['X_Hasura_Role', 'Impersonate_User', 'X.Remote.User', 'x_WebAuth.User', 'REMOTE_USER'])(
    'is not joined by the spelling %s, which servers take for the same',
    async (name, { env, before }) => {
      const answer = await sendRaw(
        env.ports.agents,
        `GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${await env.token('agent-1')}\r\n${name}: admin\r\n\r\n`,
      );
      expect([200, 400]).toContain(answer.status);
      for (const { rawHeaders } of env.upstream.requests.slice(before))
        expect(rawHeaders.map((text) => text.toLowerCase())).not.toContain(name.toLowerCase());
    },
  );

  it('is joined by what is no identity, and by what forwardHeaders names', async ({ env }) => {
    const harmless = {
      'x-amz-meta-user': 'bob',
      'x-request-id': '1',
      'user-agent': 'ua',
      'x-github-api-version': '2022-11-28',
      'x-ms-version': '2024-01-01',
      ...{
        'ce-subject': 'order',
        'x-ms-group': 'g',
        'x-ms-permissions': 'rwx',
        'x-user-agent': 'grpc-web',
        'x-bz-info-user': 'bob',
        'x-oss-meta-email': 'b',
      },
      ...{
        'x-csrf-token': 'a',
        'x-csrftoken': 'b',
        requestverificationtoken: 'c',
        'x-atlassian-token': 'no-check',
        'lock-token': '<urn:x>',
      },
      ...{
        'x-ms-continuationtoken': 'd',
        'idempotency-key': 'k',
        'x-goog-encryption-key': 'e',
        'x-snowflake-authorization-token-type': 'KEYPAIR_JWT',
      },
    };
    expect(await sent(env, '/api/x', harmless)).toMatchObject(harmless);
    const named = { 'x-hasura-role': 'viewer', 'x-acme-user': 'u1' };
    const seen = await sent(env, '/picky/x', { ...named, 'x-hasura-user-id': '7' });
    expect(seen).toMatchObject(named);
    expect(seen).not.toHaveProperty('x-hasura-user-id');
  });

  // Kind: a field that decides something is lost, and nobody is told.
  it('is named as the reason why fields stayed behind, in the answer', async ({ env }) => {
    const told = async (path: string, headers: Readonly<Record<string, string>>) =>
      (await env.call(path, { headers })).headers.get('countersign-fields-left-behind');
    expect(await told('/api/x', { sudo: 'root', 'x-hasura-role': 'admin', 'x-kept': '1' })).toBe('sudo, x-hasura-role');
    expect(await told('/s3/x', { 'x-webauth-user': 'admin' })).toBe('x-webauth-user');
    expect(await told('/picky/x', { 'x-hasura-role': 'viewer' })).toBeNull();
    expect(await told('/open/x', { sudo: 'root' })).toBeNull();
    expect(
      await told(
        '/api/x',
        Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x-user-${i}${'a'.repeat(i)}`, '1'])),
      ),
    ).toMatch(/^(?:x-user-[0-9a]+(?:, |$)){20}$/);
  });

  it('is what decides: without one, fields pass as they are', async ({ env }) => {
    expect(await sent(env, '/open/x', { 'x-hasura-role': 'viewer' })).toMatchObject({ 'x-hasura-role': 'viewer' });
  });

  it.for([
    'access_token=x',
    'a=1&API_KEY=x',
    'api%5fkey=x',
    'X-Amz-Signature=x',
    'sv=1&sig=x',
    'private_token=x',
    'sudo=root',
    'access_token%5b%5d=x',
    'a=1;doAs=root',
    '+apikey=x',
    'api-key=x',
    'access.token=x',
    'apiToken=x',
    'access_key=x',
    'client_secret=x',
    'Authorization=Bearer%20x',
    'delegation=x',
    'proxyUser=root',
    'OSSAccessKeyId=x',
    'q-signature=x',
  ])('does not go out beside a credential in the query: %s', async (query, { env, before }) => {
    const response = await env.call(`/api/x?${query}`);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([400, 'bad_request']);
    expect(env.upstream.requests).toHaveLength(before);
    expect((await env.call(`/open/x?${query.replace('+', '')}`)).status).toBe(200);
  });

  it.for([
    'token=next-page',
    'sig=1',
    'user=bob',
    'keyword=api_key',
    'page_token=x',
    'user_name=bob',
    'AccessKeyId=x',
    'as_user=true',
    'csrf-token=x',
  ])('does not stand against parameters that are no credential: %s', async (query, { env }) => {
    expect((await env.call(`/api/x?${query}`)).status).toBe(200);
  });
});

/** What would change in the call if the field were lost. */
const DECIDING: readonly (readonly [string, string])[] = [
  ['destination', 'http://x/y'],
  ['overwrite', 'F'],
  ['depth', '0'],
  ['lock-token', '<urn:x>'],
  ['if', '(<urn:x>)'],
  ['if-schedule-tag-match', '"1"'],
  ['content-range', 'bytes 0-1/9'],
  ['x-amz-copy-source', '/a/b'],
  ['x-amz-acl', 'private'],
  ['x-amz-target', 'DynamoDB_20120810.PutItem'],
  ['x-ms-copy-source', 'https://x/y'],
  ['x-ms-delete-snapshots', 'only'],
  ['x-goog-if-generation-match', '0'],
  ['x-goog-copy-source', 'a/b'],
  ['x-github-api-version', '2022-11-28'],
  ['stripe-version', '2026-01-01'],
  ['openai-beta', 'assistants=v2'],
  ['soapaction', '"urn:delete"'],
  ['dropbox-api-arg', '{}'],
  ['sforce-duplicate-rule-header', 'allowSave=true'],
  ['slug', 'name'],
  ['upload-offset', '0'],
  ['x-object-manifest', 'c/p'],
  ['ce-type', 'order.deleted'],
  ['consistencylevel', 'eventual'],
  ['x-vault-wrap-ttl', '60'],
  ['x-dry-run', 'true'],
  ['x-oss-copy-source', '/a/b'],
  ['x-cos-copy-source', 'a/b'],
  ['x-obs-acl', 'private'],
  ['content-profile', 'ledger'],
  ['x-upsert', 'true'],
  ['x-force-delete', 'true'],
  ['x-allow-overwrite', 'true'],
  ['x-skip-validation', '1'],
  ['topic', 'upd'],
];

describe('a held call', () => {
  it.for(DECIDING)('is refused, and nobody asked, when it would lose %s', async ([name, value], { env }) => {
    const alice = await env.reviewer('alice');
    const response = await env.call('/api/x', {
      method: 'PUT',
      body: {},
      headers: { [name]: value, prefer: 'wait=0' },
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'field_not_bound', fields: [name] });
    expect(await alice.list()).toEqual([]);
  });

  it('goes out with the fields that are bound, once it is approved', async ({ env, before }) => {
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const answer = env.call('/picky/x', {
      method: 'PUT',
      body: {},
      headers: { destination: '/y', overwrite: 'F', 'x-hasura-role': 'viewer' },
    });
    await alice.approve(await hold);
    expect((await answer).status).toBe(200);
    expect((await env.upstream.arrived(before)).headers).toMatchObject({
      destination: '/y',
      overwrite: 'F',
      'x-hasura-role': 'viewer',
    });
  });

  it('tells the agent and the reviewer of fields that stay behind', async ({ env }) => {
    const alice = await env.reviewer('alice');
    const response = await env.call('/api/y', {
      method: 'PUT',
      body: {},
      headers: { 'x-note': 'a', 'x-hasura-role': 'b', 'x-sdk-version': '3.1', 'user-agent': 'c', prefer: 'wait=0' },
    });
    expect(response.status).toBe(409);
    expect(((await response.json()) as { fieldsLeftBehind: string[] }).fieldsLeftBehind).toEqual([
      'x-note',
      'x-hasura-role',
      'x-sdk-version',
    ]);
    const id = response.headers.get('countersign-hold') ?? '';
    expect(((await alice.show(id)) as unknown as { action: { leftBehind: string[] } }).action.leftBehind).toEqual([
      'x-note',
      'x-hasura-role',
      'x-sdk-version',
    ]);
  });

  it('to AWS carries what AWS is told in fields of its own, signed', async ({ sts, s3, env }) => {
    const earlier = s3.requests.length;
    const alice = await env.reviewer('alice');
    const { hold } = await alice.expect('PENDING');
    const fields = {
      'x-amz-copy-source': '/from/a',
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-meta-owner': 'bob',
      'x-amz-tagging': 'a=b',
    };
    const answer = env.call('/s3/to/b', {
      method: 'PUT',
      headers: { ...fields, 'x-amz-date': '20200101T000000Z', 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
    });
    const id = await hold;
    expect((await alice.show(id)) as object).toMatchObject({
      action: { headers: expect.arrayContaining([{ name: 'x-amz-copy-source', value: '/from/a' }]) },
    });
    await alice.approve(id);
    expect((await answer).status).toBe(200);
    const { method, url, rawHeaders, headers, body } = await s3.arrived(earlier);
    expect(headers).toMatchObject(fields);
    expect(headers['x-amz-date']).not.toBe('20200101T000000Z');
    const [, accessKeyId = ''] = /Credential=([^/]+)\//.exec(rawHeaders.join('\n')) ?? [];
    expect(
      awsRefusal(
        { method, target: url, rawHeaders, body },
        { secretAccessKey: sts.secretOf(accessKeyId) ?? '', region: 'eu-central-1', service: 's3' },
      ),
    ).toBeUndefined();
  });
});
