// The realm of the test, as docs/providers/keycloak.md describes it: agents, the gateway's own clients, reviewers with
// groups, and a browser flow with two levels of authentication for step-up (password, then one-time code).

import type { Admin } from './keycloak.ts';

export const REALM = 'corp';
export const OTP_SECRETS: Readonly<Record<string, string>> = {
  alice: 'alice-otp-secret-0001',
  bob: 'bob-otp-secret-00002',
  carol: 'carol-otp-secret-003',
};

const mapper = (name: string, protocolMapper: string, config: Readonly<Record<string, string>>) => ({
  ...{ name, protocol: 'openid-connect', protocolMapper },
  config: { 'access.token.claim': 'true', 'introspection.token.claim': 'true', ...config },
});
const audience = (name: string, config: Readonly<Record<string, string>>) =>
  mapper(name, 'oidc-audience-mapper', config);
const FOR_GATEWAY = audience('gateway', { 'included.custom.audience': 'https://gateway.test' });
const FOR_REVIEW = audience('review', { 'included.custom.audience': 'countersign-review' });
const GROUPS = mapper('groups', 'oidc-group-membership-mapper', {
  ...{ 'claim.name': 'groups', 'full.path': 'true' },
  ...{ 'id.token.claim': 'true', 'userinfo.token.claim': 'true' },
});

const secretClient = (clientId: string, more: object = {}) => ({
  ...{
    clientId,
    secret: `secret-of-${clientId}`,
    publicClient: false,
    serviceAccountsEnabled: true,
    standardFlowEnabled: false,
  },
  ...more,
});

const user = (username: string, groups: readonly string[]) => ({
  ...{
    username,
    enabled: true,
    email: `${username}@example.org`,
    emailVerified: true,
    firstName: username,
    lastName: 'Test',
    groups,
  },
  credentials: [
    { type: 'password', value: `${username}-password` },
    {
      ...{ type: 'otp', userLabel: 'phone', secretData: JSON.stringify({ value: OTP_SECRETS[username] }) },
      credentialData: JSON.stringify({ subType: 'totp', digits: 6, counter: 0, period: 30, algorithm: 'HmacSHA1' }),
    },
  ],
});

const representation = (desk: string) => ({
  ...{ realm: REALM, enabled: true, sslRequired: 'none', accessTokenLifespan: 300, otpPolicyCodeReusable: true },
  attributes: { 'acr.loa.map': JSON.stringify({ pwd: 1, phr: 2 }) },
  groups: [{ name: 'finance' }, { name: 'soc' }],
  users: [user('alice', ['/finance']), user('bob', ['/soc']), user('carol', ['/finance'])],
  clients: [
    secretClient('agent-ledger', {
      protocolMappers: [FOR_GATEWAY, audience('exchanger', { 'included.client.audience': 'countersign' })],
    }),
    secretClient('agent-elsewhere'),
    secretClient('agent-dpop', { attributes: { 'dpop.bound.access.tokens': 'true' }, protocolMappers: [FOR_GATEWAY] }),
    secretClient('agent-of-people', { directAccessGrantsEnabled: true, protocolMappers: [FOR_GATEWAY] }),
    secretClient('agent-pairwise', {
      directAccessGrantsEnabled: true,
      // The sector that the subject is pairwise for comes from here.
      redirectUris: ['http://127.0.0.1/*'],
      protocolMappers: [
        FOR_GATEWAY,
        mapper('pairwise', 'oidc-sha256-pairwise-sub-mapper', { pairwiseSubAlgorithmSalt: 'salt' }),
      ],
    }),
    secretClient('countersign', { attributes: { 'standard.token.exchange.enabled': 'true' } }),
    secretClient('ledger-api'),
    secretClient('bot-reviewer', { protocolMappers: [FOR_REVIEW, GROUPS] }),
    {
      ...secretClient('countersign-console', {
        serviceAccountsEnabled: false,
        standardFlowEnabled: true,
        protocolMappers: [GROUPS],
      }),
      redirectUris: [`${desk}/sign-in/callback`],
      attributes: { 'post.logout.redirect.uris': `${desk}/signed-out`, 'pkce.code.challenge.method': 'S256' },
    },
    {
      ...{
        clientId: 'countersign-cli',
        publicClient: true,
        standardFlowEnabled: true,
        redirectUris: ['http://127.0.0.1/callback'],
      },
      attributes: { 'oauth2.device.authorization.grant.enabled': 'true' },
      protocolMappers: [FOR_REVIEW, GROUPS],
    },
  ],
});

/**
 * Makes the realm anew. What an import cannot say without replacing Keycloak's own scopes and flows is said afterwards.
 */
export async function createRealm(admin: Admin, desk: string): Promise<void> {
  await admin('DELETE', `/${REALM}`).catch(() => undefined);
  await admin('POST', '', representation(desk));
  const idOf = async (clientId: string) =>
    ((await admin('GET', `/${REALM}/clients?clientId=${clientId}`)) as { id: string }[])[0]?.id;
  await addLedgerScope(admin, (await idOf('countersign')) ?? '');
  await addStepUp(admin);
  const bot = (await admin('GET', `/${REALM}/clients/${await idOf('bot-reviewer')}/service-account-user`)) as {
    id: string;
  };
  const groups = (await admin('GET', `/${REALM}/groups?search=finance`)) as { id: string }[];
  await admin('PUT', `/${REALM}/users/${bot.id}/groups/${groups[0]?.id}`);
}

/**
 * An optional scope that carries the ledger's audience, and no default scope that would answer more than was asked for.
 */
async function addLedgerScope(admin: Admin, client: string): Promise<void> {
  const { id } = (await admin('POST', `/${REALM}/client-scopes`, {
    ...{ name: 'ledger:write', protocol: 'openid-connect', attributes: { 'include.in.token.scope': 'true' } },
    protocolMappers: [audience('ledger', { 'included.client.audience': 'ledger-api' })],
  })) as { id: string };
  await admin('PUT', `/${REALM}/clients/${client}/optional-client-scopes/${id}`);
  for (const scope of (await admin('GET', `/${REALM}/clients/${client}/default-client-scopes`)) as {
    id: string;
    name: string;
  }[]) {
    if (['profile', 'email'].includes(scope.name))
      await admin('DELETE', `/${REALM}/clients/${client}/default-client-scopes/${scope.id}`);
  }
}

interface Execution {
  readonly id: string;
  readonly providerId?: string;
  readonly displayName?: string;
}

async function addStepUp(admin: Admin): Promise<void> {
  const flows = `/${REALM}/authentication/flows`;
  await admin('POST', flows, { alias: 'stepped', providerId: 'basic-flow', topLevel: true, builtIn: false });
  const inner = (parent: string, alias: string) =>
    admin('POST', `${flows}/${parent}/executions/flow`, {
      alias,
      type: 'basic-flow',
      provider: 'registration-page-form',
      description: '',
    });
  const step = (parent: string, provider: string) =>
    admin('POST', `${flows}/${parent}/executions/execution`, { provider });
  await step('stepped', 'auth-cookie');
  await inner('stepped', 'stepped-forms');
  for (const [alias, form] of [
    ['level-1', 'auth-username-password-form'],
    ['level-2', 'auth-otp-form'],
  ] as const) {
    await inner('stepped-forms', alias);
    await step(alias, 'conditional-level-of-authentication');
    await step(alias, form);
  }
  let level = 0;
  for (const execution of (await admin('GET', `${flows}/stepped/executions`)) as Execution[]) {
    const { id, providerId, displayName = '' } = execution;
    const requirement =
      providerId === 'auth-cookie' || displayName === 'stepped-forms'
        ? 'ALTERNATIVE'
        : displayName.startsWith('level-')
          ? 'CONDITIONAL'
          : 'REQUIRED';
    await admin('PUT', `${flows}/stepped/executions`, { ...execution, requirement });
    if (providerId !== 'conditional-level-of-authentication') continue;
    level += 1;
    const config = { 'loa-condition-level': String(level), 'loa-max-age': level === 1 ? '36000' : '0' };
    await admin('POST', `/${REALM}/authentication/executions/${id}/config`, {
      alias: `level-${level}-condition`,
      config,
    });
  }
  for (const execution of (await admin('GET', `${flows}/direct%20grant/executions`)) as (Execution & {
    authenticationFlow?: boolean;
  })[]) {
    // The password grant stands in for agents' own sign-ins of people, and asks for no code.
    if (execution.authenticationFlow === true && execution.displayName?.includes('OTP')) {
      await admin('PUT', `${flows}/direct%20grant/executions`, { ...execution, requirement: 'DISABLED' });
    }
  }
  await admin('PUT', `/${REALM}`, { browserFlow: 'stepped', otpPolicyCodeReusable: true });
}
