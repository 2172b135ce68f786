// Header fields in which common servers accept a claim of who is asking, or a credential besides Authorization. The
// gateway injects its own credential, so the agent's own claims must not go along: with the gateway's token,
// `Impersonate-User: admin` would make the agent admin. The names come from the documentation of the servers that are
// named beside them. Fields of unknown servers are recognised by the words in their names. CGI, WSGI and PHP read
// `X_Remote_User` as `X-Remote-User`, so an underscore or a dot counts as a hyphen.

/**
 * Whether a field's key is one of these names, or starts with one of these beginnings. Each text of a list holds several,
 * with a space between.
 */
export function fieldTable(names: readonly string[], beginnings: readonly string[]): (key: string) => boolean {
  const known = new Set(names.flatMap((line) => line.split(' ')));
  const starts = beginnings.flatMap((line) => line.split(' '));
  return (key) => known.has(key) || starts.some((start) => key.startsWith(start));
}

const isListed = fieldTable(
  [
    // GitLab, Gitea and Forgejo; Redmine; Discourse; Box; PagerDuty takes the sender's address for the person who acts
    'sudo x-gitea-otp x-github-otp x-redmine-switch-user api-username as-user from',
    // Grafana, Honeycomb, PAN-OS, Appwrite, Firebase, NiFi, vCenter, Odoo, Salesforce
    'x-grafana-id x-grafana-org-id x-grafana-device-id x-honeycomb-team x-pan-key x-appwrite-key ' +
      'x-firebase-appcheck x-proxiedentitieschain',
    'vmware-api-session-id x-openerp-session-id x-sfdc-session',
    // OpenStack’s services behind Keystone’s middleware
    'x-project-id x-project-name x-project-domain-id x-project-domain-name x-domain-id x-domain-name ' +
      'x-is-admin-project x-service-catalog',
    // whose address it is, in the words of proxies
    'cf-connecting-ip cf-connecting-ipv6 true-client-ip fastly-client-ip client-ip x-client-ip ' +
      'x-cluster-client-ip x-real-ip x-originating-ip',
    'x-azure-clientip x-azure-socketip x-agent-id',
    // Google: Identity-Aware Proxy, billing project, API gateways; service mesh
    'x-goog-authenticated-user-email x-goog-authenticated-user-id x-goog-user-project x-goog-authuser ' +
      'login-customer-id',
    'x-apigateway-api-userinfo x-endpoint-api-userinfo',
    // Microsoft: Entra and App Service, Dynamics 365, Functions
    'mscrmcallerid callerobjectid x-ms-authorization-auxiliary x-functions-key x-anchormailbox',
    // AWS
    'x-amzn-requestcontext',
    // Stripe and others that act for a connected account
    'stripe-account stripe-context paypal-auth-assertion dropbox-api-select-user dropbox-api-select-admin ' +
      'openai-organization openai-project',
    // Elasticsearch and OpenSearch
    'es-security-runas-user securitytenant sgtenant',
    // JFrog
    'x-jfrog-art-api',
    // tenants of Grafana Loki, Mimir and Tempo, of Thanos
    'x-scope-orgid thanos-tenant tenant x-tenant x-org-id x-organization-id',
    // client certificates as proxies forward them
    'client-cert client-cert-chain x-client-dn x-client-verify x-client-id',
    // credentials beside Authorization
    'cookie cookie2 x-signature',
    // people, in the words of single sign-on proxies
    'eppn on-behalf-of x-on-behalf-of onbehalfof act-as x-act-as run-as x-run-as x-original-user x-webauth ' +
      'x-login x-caller x-admin x-credential-identifier',
  ],
  [
    // Kubernetes and Rancher; its front proxy
    'impersonate- x-impersonate x-remote- remote-',
    // Grafana, oauth2-proxy and Kong (x-auth-request-, x-authenticated-, x-authentik-), Authelia, Pomerium, Vouch, Envoy
    // and proxies
    'x-webauth- x-auth- x-authenticated- x-authentik- x-consumer- x-credential- x-pomerium- x-vouch- x-forwarded-',
    'x-proxy- x-user- x-sso- x-saml- x-shib- shib- x-envoy- x-sandstorm-',
    // App Engine, Cloud Scheduler and Cloud Tasks; Azure’s front ends; the modules of Apache for OpenID Connect and SAML;
    // load balancers with client certificates
    'x-appengine- x-cloudscheduler x-cloudtasks- x-arr- x-zumo- oidc- mellon- x-client-cert',
    // Hasura, Azure App Service and API Management, AWS load balancers, Cloudflare Access, Tailscale, IBM WebSEAL,
    // SiteMinder, Oracle Access Manager
    'x-hasura- x-ms-client-principal x-ms-token- ocp-apim- x-amzn-oidc- x-amzn-mtls- cf-access- tailscale- iv- sm-',
    'oam- ssl-client- x-ssl-client- x-tls-client-',
    // Parse, Trino and Presto, ClickHouse, CouchDB, OpenSearch
    'x-parse- x-trino-user x-trino-original-user x-trino-role x-trino-extra-credential x-presto-user x-presto-role',
    'x-clickhouse-user x-clickhouse-key opendistro-security- opensearch-security-',
  ],
);

/** Words of which names like `X-Acme-User` and `X-Tenant-Id` are made. */
const WORDS =
  /(?:^|-)(?:user(?!-agent)|username|userid|useremail|userinfo|uid|email|groups?|roles?|principal|identity|impersonated?|impersonation|impersonating|sudo|runas|doas|tenant|tenantid|consumer|subject|actor|login|caller|spiffe|service-?account|oidc|jwt|claims?|scopes?|permissions|privileges|authorities|superuser|is-admin|secret|password|passwd)(?:-|$)/;
/** Words of which names of credentials are made: `X-Figma-Token`, `DD-API-KEY`, `X-ARR-ClientCert`, `X-Zumo-Auth`. */
const CREDENTIALS =
  /(?:api|(?:^|-)(?:app|application|auth|admin|master|insert|license|access|secret|subscription))-?keys?(?:-|$)|token$|(?:^|-)(?:auth|authorization|authentication|bearer|client-?cert|ssl-cert)$/;
/** Tokens that are none: against forged forms, for pages, locks and repetitions. */
const TOKENS =
  /(?:csrf|xsrf|verification|continuation|lock|next|page|cursor|sync|delta|idempotency|cancel|atlassian|amz-client)-?token$/;
/** What belongs to the object or event that is written, and not to who writes it. */
const METADATA = /^(?:x-(?:amz|ms|goog|object|container|account|oss|cos|obs)-meta-|x-bz-info-|ce-)/;
const HARMLESS: ReadonlySet<string> = new Set(
  'x-user-agent x-amz-user-agent x-ms-user-agent x-ms-identity-internal-id x-ms-group x-ms-permissions'.split(' '),
);

/** One spelling for all that servers take for the same name. */
export function fieldKey(name: string): string {
  return name.toLowerCase().replace(/[_.]/g, '-');
}

/** Whether a field says who is asking, or carries a credential. */
export function carriesIdentity(name: string): boolean {
  const key = fieldKey(name);
  if (METADATA.test(key) || HARMLESS.has(key)) return false;
  return isListed(key) || WORDS.test(key) || (CREDENTIALS.test(key) && !TOKENS.test(key));
}

/**
 * Query parameters that are a credential or say who is asking, without the marks between their words: RFC 6750 section
 * 2.3, signed URLs of AWS, Google, Azure, Alibaba and Tencent, and those of common servers.
 */
const PARAMETERS =
  /^(?:(?:access|oauth|auth|id|private|job|api|bearer|session)token|x?apikey|apitoken|accesskey|clientsecret|subscriptionkey|authorization|delegation|xamz(?:algorithm|credential|signature|securitytoken)|(?:aws|oss)accesskeyid|xgoog(?:algorithm|credential|signature)|googleaccessid|qsignature|sudo|doas|runas|proxyuser|impersonate|impersonateuser|onbehalfof)$/;

/**
 * The first query parameter that carries a credential or an identity of the agent's own; undefined when there is none.
 */
export function identityParameter(query: string): string | undefined {
  const names = query.split(/[&;]/).map((pair) => {
    const raw = (pair.split('=', 1)[0] ?? '').replaceAll('+', ' ');
    const decoded = raw.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return (decoded.trim().split('[', 1)[0] ?? '').toLowerCase();
  });
  // Hadoop's `user.name` is a person where `user_name` may be a search.
  const own = names.find((name) => name === 'user.name' || PARAMETERS.test(name.replace(/[-_.]/g, '')));
  // A shared access signature of Azure: `sig` alone is a word of others too.
  return own ?? (names.includes('sig') && (names.includes('sv') || names.includes('se')) ? 'sig' : undefined);
}
