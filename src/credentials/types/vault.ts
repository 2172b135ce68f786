// Credential type `vault`, for HashiCorp Vault and OpenBao: a login of its own per credential, a dynamic secret read with it,
// and both ended afterwards: the lease, then the login with everything that hangs on it. Trusts the configured server.
// Refuses logins with more policies than named, leases that live too long, and logins that cannot be ended.

import { z } from 'zod';
import type { Minted } from '../../domain/credential.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { Secret } from '../../domain/secret.ts';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { duration } from '../../settings/units.ts';
import { faultName, UnwantedGrant, unavailable } from '../broker-provider.ts';
import { credentialType, type SettingsOf } from '../credential-type.ts';
import { callIssuer, type IssuerAnswer, isFieldSafe, issuerAccess, readObject } from '../issuer-call.ts';
import { readName, refuseUnknown, tooMuch, unfit } from '../scope-values.ts';
import { issuerAuthority, issuerTimeout } from '../settings.ts';
import { inject, vaultInjection } from '../vault-injection.ts';

const vaultPath = () =>
  z.string().regex(/^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[A-Za-z0-9._{}-]+(?:\/[A-Za-z0-9._{}-]+)*$/, {
    error: 'Write a path without / at its ends.',
  });

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('vault'),
      address: secureUrl().describe('URL of Vault or OpenBao'),
      namespace: z
        .string()
        .regex(/^[A-Za-z0-9._/-]+$/)
        .exactOptional(),
      ca: issuerAuthority(context),
      login: z.strictObject({
        mount: vaultPath().default('jwt').describe('Where the JWT or Kubernetes auth method is mounted; default jwt'),
        role: z.string().min(1),
        token: secret(context).describe('The gateway’s own token'),
        policies: z
          .array(z.string().min(1))
          .exactOptional()
          .describe('The only policies that the login may have besides default'),
      }),
      path: vaultPath().describe('Path of the secret below /v1, like database/creds/{role}'),
      role: z.string().min(1).exactOptional().describe('For {role}, where the rule says nothing'),
      parameters: z
        .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
        .exactOptional()
        .describe('Sent along; makes the request a POST'),
      longestLease: duration({ least: '1s', most: '1d' })
        .prefault('1h')
        .describe('Leases that live longer are refused; default 1h'),
      inject: vaultInjection(),
      timeout: issuerTimeout(),
    })
    .transform(({ timeout: timeoutMs, longestLease: longestLeaseMs, ...rest }) => ({
      ...rest,
      timeoutMs,
      longestLeaseMs,
    }));

type Settings = SettingsOf<typeof settings>;

interface Handle {
  readonly token: string;
  readonly lease?: string;
  /**
   * Whether the login has the policy `default`, which lets it look at itself: then a refusal to do so means that it is
   * over.
   */
  readonly seesItself: boolean;
}

interface Login {
  readonly token: string;
  readonly policies: readonly string[];
  readonly endsInMs?: number;
}

const PLACE = '{role}';
const ROLE = /^(?!\.{1,2}$)[A-Za-z0-9._@-]{1,128}$/;

export const vault = credentialType({
  name: 'vault',
  settings,
  create(own, tools) {
    const { address, namespace, login: auth, longestLeaseMs } = own;
    const access = issuerAccess(own, tools);
    const base = `${address.replace(/\/$/, '')}/v1/`;

    const call = (
      method: 'GET' | 'POST' | 'PUT',
      path: string,
      token?: string,
      body?: JsonObject,
    ): Promise<IssuerAnswer> =>
      callIssuer(access, {
        method,
        url: base + path,
        headers: {
          accept: 'application/json',
          'x-vault-request': 'true',
          ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
          ...(token !== undefined && { 'x-vault-token': token }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });

    async function logIn(): Promise<Login> {
      const answer = await call('POST', `auth/${auth.mount}/login`, undefined, {
        role: auth.role,
        jwt: auth.token.read().reveal(),
      });
      if (answer.status !== 200) throw unavailable(`Vault refused the login: status ${answer.status}.`);
      const found = memberOf(readObject(answer), 'auth');
      if (!isFieldSafe(found.client_token)) throw unavailable('Vault’s answer to the login holds no token.');
      const policies = Array.isArray(found.policies) ? found.policies.filter((name) => typeof name === 'string') : [];
      const endsInMs = seconds(found.lease_duration);
      const login = { token: found.client_token, policies, ...(endsInMs !== undefined && { endsInMs }) };
      // A batch token cannot be revoked, and its leases may outlive it.
      if (found.token_type === 'batch')
        throw unavailable('Vault’s role gives batch tokens, which cannot be revoked; let it give service tokens.');
      return login;
    }

    return {
      type: own.type,
      shareable: true,
      async mint({ plan, now }) {
        const { path, parameters } = narrow(own, plan.scope);
        const login = await logIn();
        const ends = (lease?: string): Ends => ({
          handle: new Secret(
            JSON.stringify({
              token: login.token,
              seesItself: login.policies.includes('default'),
              ...(lease && { lease }),
            } satisfies Handle),
          ),
          ...(login.endsInMs !== undefined && { expiresAt: now + login.endsInMs }),
        });
        const surplus = login.policies.some(
          (name) => name !== 'default' && auth.policies !== undefined && !auth.policies.includes(name),
        );
        if (surplus)
          throw new UnwantedGrant('credential_too_broad', 'Vault’s login has more policies than it may have.', ends());
        const answer = await (parameters === undefined
          ? call('GET', path, login.token)
          : call('POST', path, login.token, parameters)
        ).catch((thrown) => {
          throw new UnwantedGrant('credential_unavailable', `Vault gave no secret: ${faultName(thrown)}.`, ends());
        });
        if (answer.status !== 200)
          throw new UnwantedGrant(
            'credential_unavailable',
            `Vault refused the secret: status ${answer.status}.`,
            ends(),
          );
        return accept({ answer, path, login, now, ends });
      },
      async revoke(handle) {
        const { token, lease, seesItself } = JSON.parse(handle.reveal()) as Handle;
        if (lease !== undefined) {
          // Waits until the secret is gone at its source. Vault answers 4xx when the lease is gone, or when the login
          // may not revoke it: a second try would not help, and the end of the login ends its leases. Other failures
          // may pass, so they are tried again before the login ends.
          const { status } = await call('PUT', 'sys/leases/revoke', token, { lease_id: lease, sync: true });
          if (status >= 500 || status === 429 || status < 200)
            throw unavailable(`Vault did not revoke the lease: status ${status}.`);
        }
        const answer = await call('POST', 'auth/token/revoke-self', token);
        const { status } = answer;
        if (status === 204 || status === 200 || isTokenGone(answer)) return;
        if (status === 403 && seesItself && (await call('GET', 'auth/token/lookup-self', token)).status === 403) return;
        throw unavailable(`Vault did not revoke the login: status ${status}.`);
      },
    };

    function accept({ answer, path, login, now, ends }: Read): Minted {
      let object: JsonObject;
      try {
        object = readObject(answer);
      } catch {
        throw new UnwantedGrant('credential_unavailable', 'Vault’s answer cannot be read.', ends());
      }
      const lease = typeof object.lease_id === 'string' && object.lease_id !== '' ? object.lease_id : undefined;
      const unwanted = ends(lease);
      const leaseMs = lease === undefined ? undefined : seconds(object.lease_duration);
      if (leaseMs !== undefined && leaseMs > longestLeaseMs) {
        throw new UnwantedGrant('credential_too_broad', 'Vault gave a lease that lives longer than it may.', unwanted);
      }
      const injected = inject(own.inject, memberOf(object, 'data'));
      if (typeof injected === 'string') throw new UnwantedGrant('credential_unavailable', injected, unwanted);
      const lives = [leaseMs, login.endsInMs].filter((ms) => ms !== undefined);
      return {
        ...injected,
        ...unwanted,
        ...(lives.length > 0 && { expiresAt: now + Math.min(...lives) }),
        // Without a lease the secret outlives the login, and nothing takes it back.
        revocability: lease === undefined ? 'none' : 'lease',
        granted: { path, policies: [...login.policies], leased: lease !== undefined },
      };
    }
  },
  clientOf: ({ address, namespace = '', path }) => `${path} at ${address} ${namespace}`,
  describe: ({ type }) => `by ${type}, made for this call; its lease and its login end when the call is over`,
});

/**
 * Vault and OpenBao say `permission denied` also to a token that does not exist, and newer ones add why. 404: its
 * namespace is gone.
 */
function isTokenGone({ status, text }: IssuerAnswer): boolean {
  return (
    status === 404 || status === 410 || (status === 403 && /(?:invalid|bad|expired) token|token not found/i.test(text))
  );
}

interface Read {
  readonly answer: IssuerAnswer;
  readonly path: string;
  readonly login: Login;
  readonly now: number;
  ends(lease?: string): Ends;
}

interface Ends {
  readonly handle: Secret;
  readonly expiresAt?: number;
}

/** The path and parameters of this rule. Throws `credential_unavailable`. */
function narrow(
  { path, role, parameters: fixed = {} }: Settings,
  scope: JsonObject,
): { path: string; parameters?: JsonObject } {
  refuseUnknown(scope, ['role', 'parameters']);
  const chosen = readName(scope, 'role', ROLE) ?? role;
  if (path.includes(PLACE) && chosen === undefined)
    throw unavailable('Neither the rule nor the credential says which role to ask for.');
  if (!path.includes(PLACE) && scope.role !== undefined)
    throw unavailable('The rule names a role, and the credential’s path has no place for one.');
  const wanted = scope.parameters ?? {};
  if (
    !isJsonObject(wanted) ||
    !Object.values(wanted).every((value) => ['string', 'number', 'boolean'].includes(typeof value))
  )
    throw unfit('parameters');
  if (Object.entries(wanted).some(([name, value]) => Object.hasOwn(fixed, name) && fixed[name] !== value))
    throw tooMuch('parameters');
  const parameters = { ...fixed, ...wanted };
  return {
    path: path.replaceAll(PLACE, () => chosen ?? ''),
    ...(Object.keys(parameters).length > 0 && { parameters }),
  };
}

function memberOf(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return isJsonObject(value) ? value : {};
}

/** Vault writes 0 for what does not end. */
function seconds(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value * 1000 : undefined;
}
