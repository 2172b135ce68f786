// Header fields by which common servers take somebody's word for who is asking, or take a credential beside Authorization. Where the gateway
// injects a credential it speaks for itself, so none of the agent's own goes along: an agent that sends `Impersonate-User: admin` beside the gateway's
// token would be admin. The names are from the documentation of the servers that stand beside them; unknown servers are met by the words that such names are made of.
// CGI, WSGI and PHP read `X_Remote_User` as `X-Remote-User`, so an underscore, and a dot, counts as a hyphen.

const NAMES: ReadonlySet<string> = new Set(
  [
    // GitLab, Gitea and Forgejo; Redmine; Discourse; Box; PagerDuty takes the sender's address for the person who acts
    'sudo private-token job-token deploy-token x-redmine-switch-user x-redmine-api-key api-username as-user from',
    // Google: Identity-Aware Proxy, billing project, API gateways; service mesh
    'x-goog-authenticated-user-email x-goog-authenticated-user-id x-goog-iap-jwt-assertion x-goog-user-project x-goog-api-key x-goog-iam-authorization-token',
    'x-serverless-authorization x-apigateway-api-userinfo x-endpoint-api-userinfo x-jwt-payload login-customer-id developer-token',
    // Microsoft: Entra and App Service, Dynamics 365, Functions
    'mscrmcallerid callerobjectid x-ms-authorization-auxiliary x-functions-key x-anchormailbox',
    // AWS
    'x-amz-security-token x-amz-s3session-token x-amzn-requestcontext',
    // Stripe and others that act for a connected account
    'stripe-account stripe-context paypal-auth-assertion dropbox-api-select-user dropbox-api-select-admin openai-organization openai-project',
    // Elasticsearch and OpenSearch
    'es-security-runas-user es-secondary-authorization securitytenant sgtenant',
    // HashiCorp, Docker, JFrog, Dapr, Spinnaker, Sentry, Teleport
    'x-consul-token x-nomad-token x-vault-token x-registry-auth x-jfrog-art-api dapr-api-token x-sentry-auth teleport-jwt-assertion',
    // tenants of Grafana Loki, Mimir and Tempo, of Thanos
    'x-scope-orgid thanos-tenant tenant x-tenant x-org-id x-organization-id',
    // client certificates as proxies forward them
    'client-cert client-cert-chain x-client-cert x-client-dn x-client-verify x-client-subject x-client-id x-client-secret',
    // credentials beside Authorization
    'authorization x-authorization cookie cookie2 apikey api-key x-apikey x-api-key x-api-secret x-access-token access-token auth-token id-token x-id-token',
    'x-token token x-session-token x-jwt-assertion x-jwt x-secret-key x-signature x-original-authorization',
    // people, in the words of single sign-on proxies
    'eppn on-behalf-of x-on-behalf-of onbehalfof act-as x-act-as run-as x-run-as x-original-user x-webauth x-login x-caller x-admin x-credential-identifier',
  ].flatMap((line) => line.split(' ')),
);

const BEGINNINGS: readonly string[] = [
  // Kubernetes and Rancher; its front proxy
  ...['impersonate-', 'x-impersonate', 'x-remote-', 'remote-'],
  // Grafana, oauth2-proxy and Kong (x-auth-request-, x-authenticated-, x-authentik-), Authelia, Pomerium, Vouch, Envoy and proxies
  ...['x-webauth-', 'x-auth-', 'x-authenticated-', 'x-authentik-', 'x-consumer-', 'x-credential-', 'x-pomerium-', 'x-vouch-', 'x-forwarded-', 'x-proxy-'],
  ...['x-user-', 'x-sso-', 'x-saml-', 'x-shib-', 'shib-', 'x-envoy-', 'x-sandstorm-'],
  // Hasura, Azure App Service and API Management, AWS load balancers, Cloudflare Access, Tailscale, IBM WebSEAL, SiteMinder, Oracle Access Manager
  ...['x-hasura-', 'x-ms-client-principal', 'x-ms-token-', 'ocp-apim-', 'x-amzn-oidc-', 'x-amzn-mtls-', 'cf-access-', 'tailscale-'],
  ...['iv-', 'sm-', 'oam-', 'ssl-client-', 'x-ssl-client-', 'x-tls-client-'],
  // Parse, Trino and Presto, ClickHouse, CouchDB, OpenSearch
  ...['x-parse-', 'x-trino-user', 'x-trino-original-user', 'x-trino-role', 'x-trino-extra-credential', 'x-presto-user', 'x-presto-role', 'x-clickhouse-user'],
  ...['x-clickhouse-key', 'opendistro-security-', 'opensearch-security-'],
];

/** Words of which names like `X-Acme-User` and `X-Tenant-Id` are made. */
const WORDS =
  /(?:^|-)(?:user(?!-agent)|username|userid|useremail|userinfo|uid|email|groups?|roles?|principal|identity|impersonated?|impersonation|impersonating|sudo|runas|doas|tenant|tenantid|consumer|subject|actor|login|apikey|access-key|secret|password|passwd)(?:-|$)/;
/** What belongs to the object that is written, and not to who writes it. */
const METADATA = /^x-(?:amz|ms|goog|object|container|account)-meta-/;
const HARMLESS: ReadonlySet<string> = new Set(['x-amz-user-agent', 'x-ms-user-agent', 'x-ms-identity-internal-id']);

/** One spelling for all that servers take for the same name. */
export function fieldKey(name: string): string {
  return name.toLowerCase().replace(/[_.]/g, '-');
}

/** Whether a field says who is asking, or carries a credential. */
export function carriesIdentity(name: string): boolean {
  const key = fieldKey(name);
  if (METADATA.test(key) || HARMLESS.has(key)) return false;
  return NAMES.has(key) || BEGINNINGS.some((beginning) => key.startsWith(beginning)) || WORDS.test(key);
}

/** Query parameters that are a credential or say who is asking: RFC 6750 section 2.3, signed URLs of AWS, Google and Azure, and those of common servers. */
const PARAMETERS =
  /^(?:access_?token|oauth_?token|auth_?token|id_token|private_?token|job_?token|api_?key|apikey|x-api-key|subscription-key|x-amz-(?:algorithm|credential|signature|security-token)|awsaccesskeyid|x-goog-(?:algorithm|credential|signature)|googleaccessid|sudo|doas|impersonate|impersonate_?user|user\.name)$/i;

/** The first query parameter that carries a credential or an identity of the agent's own; undefined when there is none. */
export function identityParameter(query: string): string | undefined {
  const names = query.split(/[&;]/).map((pair) => {
    const raw = (pair.split('=', 1)[0] ?? '').replaceAll('+', ' ');
    const decoded = raw.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return (decoded.trim().split('[', 1)[0] ?? '').toLowerCase();
  });
  const own = names.find((name) => PARAMETERS.test(name));
  // A shared access signature of Azure: `sig` alone is a word of others too.
  return own ?? (names.includes('sig') && (names.includes('sv') || names.includes('se')) ? 'sig' : undefined);
}
