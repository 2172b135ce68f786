// The two tables of header fields: those that say who is asking or carry a credential, and those without which a call
// is another call. One name or more of every family that the tables list, and what looks like one and is none.

import { describe, expect, it } from 'vitest';
import { decidesEffect, leftBehind } from '../../src/domain/deciding-fields.ts';
import { carriesIdentity, identityParameter } from '../../src/domain/identity-fields.ts';

const words = (...lines: string[]): string[] => lines.flatMap((line) => line.split(' '));

describe('a field that says who is asking', () => {
  it.each(
    words(
      'sudo x-gitea-otp from x-grafana-id x-proxiedentitieschain vmware-api-session-id x-project-id x-service-catalog',
      'cf-connecting-ip x-real-ip x-azure-clientip x-agent-id x-goog-user-project x-apigateway-api-userinfo',
      'mscrmcallerid x-functions-key x-amzn-requestcontext stripe-account openai-organization es-security-runas-user',
      'x-jfrog-art-api x-scope-orgid tenant client-cert x-client-dn cookie x-signature eppn on-behalf-of x-admin',
      'impersonate-user x-impersonate x-remote-user remote-user x-webauth-x x-auth-request-x x-authentik-x x-consumer-x',
      'x-credential-x x-pomerium-x x-vouch-x x-forwarded-x x-proxy-x x-user-x x-sso-x x-saml-x x-shib-x shib-x x-envoy-x',
      'x-sandstorm-x x-appengine-x x-cloudscheduler x-cloudtasks-x x-arr-x x-zumo-x oidc-x mellon-x x-client-cert',
      'x-hasura-x x-ms-client-principal x-ms-token-x ocp-apim-x x-amzn-oidc-x x-amzn-mtls-x cf-access-x tailscale-x',
      'iv-x sm-x oam-x ssl-client-x x-ssl-client-x x-tls-client-x x-parse-x x-trino-user x-presto-role',
      'x-clickhouse-user x-clickhouse-key opendistro-security-x opensearch-security-x',
      'X_Remote_User x.remote.user x-acme-tenant x-acme-user-id x-figma-token dd-api-key x-acme-password',
    ),
  )('is %s', (name) => {
    expect(carriesIdentity(name)).toBe(true);
  });

  it.each(
    words(
      'accept content-type x-colour user-agent x-user-agent x-csrf-token x-next-token x-idempotency-token',
      'x-amz-meta-user x-goog-meta-owner-token ce-subject x-ms-group',
    ),
  )('is not %s', (name) => {
    expect(carriesIdentity(name)).toBe(false);
  });
});

describe('a field that changes what an upstream does', () => {
  it.each(
    words(
      'if prefer content-range slug link destination depth soapaction dropbox-api-arg x-idempotency-key x-dry-run',
      'accept-profile ttl consistencylevel git-protocol x-copy-from x-target x-rename-to',
      'if-anything unless-x x-http-x x-method x-force-x x-allow-x x-confirm-x x-skip-x x-permanent x-purge',
      'x-amz-copy-source x-amzn-x x-ms-x x-goog-x x-oss-x x-cos-x x-obs-x x-object-x x-container-x x-account-x',
      'x-delete-x x-remove-x x-versions-x x-history-x x-upload-x upload-x tus-x x-bz-x oc-x x-oc-x x-nc-x x-couch-x',
      'ce-x x-github-x grpc-x sforce-x mscrmx x-vault-x x-consul-x x-nomad-x x-trino-x x-presto-x x-clickhouse-x',
      'x-snowflake-x x-influxdb-x stripe-version openai-beta x-github-api-version If_Anything',
    ),
  )('is %s', (name) => {
    expect(decidesEffect(name)).toBe(true);
  });

  it.each(
    words(
      'accept x-colour x-client-version x-sdk-version x-amz-date x-amz-content-sha256 x-ms-client-request-id',
      'x-goog-api-client x-github-request-id dav sec-fetch-mode mcp-session-id tus-extension',
    ),
  )('is not %s', (name) => {
    expect(decidesEffect(name)).toBe(false);
  });
});

describe('what a held call loses', () => {
  const lost = (headers: readonly string[], armed = true) =>
    leftBehind(
      headers.flatMap((name) => [name, 'v']),
      ['accept', 'v'],
      'x-agent-token',
      armed,
    );

  it('is every field that is not bound, but for those that the gateway takes away in any case', () => {
    expect(lost(['accept', 'x-agent-token', 'authorization', 'via', 'prefer'])).toEqual({
      names: [],
      deciding: [],
    });
    expect(lost(['x-colour', 'if-none-match'])).toEqual({
      names: ['x-colour', 'if-none-match'],
      deciding: ['if-none-match'],
    });
  });

  it('counts an identity as deciding where the gateway puts none of its own in its place', () => {
    expect(lost(['x-remote-user'], true).deciding).toEqual([]);
    expect(lost(['x-remote-user'], false).deciding).toEqual(['x-remote-user']);
  });
});

describe('a query parameter that is a credential', () => {
  it.each([
    ['access_token=1', 'access_token'],
    ['a=1&API-Key=2', 'api-key'],
    ['X-Amz-Signature=1', 'x-amz-signature'],
    ['%73udo=1', 'sudo'],
    ['user.name=1', 'user.name'],
    ['runas[0]=1', 'runas'],
    ['a=1;impersonate=2', 'impersonate'],
  ])('is found in %s', (query, name) => {
    expect(identityParameter(query)).toBe(name);
  });

  it.each(['user_name=1', 'token_type=x', 'page=2', 'a=access_token', ''])('is not found in %j', (query) => {
    expect(identityParameter(query)).toBeUndefined();
  });
});
