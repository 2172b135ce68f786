// Vault or OpenBao as far as one credential goes, from their public API reference: login of the jwt method, a database
// and a Kubernetes secrets engine, KV version 1, leases/revoke, revoke-self and lookup-self. A token takes its leases
// with it. Not the real thing: no policies are evaluated beyond what is listed here, nothing expires by itself, the JWT
// is compared and not verified, and no seal, namespace or audit.

import { randomBytes, randomUUID } from 'node:crypto';
import { type IssuerReply, type IssuerRequest, type IssuerServer, startIssuerServer } from './issuer-server.ts';

export const LOGIN_JWT = 'gateways-own-jwt-literal';

interface Token {
  readonly leases: Set<string>;
}

export interface VaultServer extends IssuerServer {
  /** Dynamic secrets that exist at their source, by lease. */
  readonly live: ReadonlyMap<string, string>;
  /** Logins that are not revoked. */
  readonly logins: number;
  readonly madeSecrets: readonly string[];
  readonly violations: readonly string[];
  /** Alters `auth` of logins and the answers to reads. */
  alter(how: {
    login?: (auth: Record<string, unknown>) => Record<string, unknown>;
    read?: (answer: Record<string, unknown>) => Record<string, unknown>;
  }): void;
  /** Paths that are answered with this status from now on. */
  refuse(path: string, status: number | undefined): void;
}

export async function startVault(): Promise<VaultServer> {
  const tokens = new Map<string, Token>();
  const live = new Map<string, string>();
  const madeSecrets: string[] = [];
  const violations: string[] = [];
  const refused = new Map<string, number>();
  let alterLogin = (auth: Record<string, unknown>) => auth;
  let alterRead = (answer: Record<string, unknown>) => answer;

  const complain = (words: string): IssuerReply => {
    violations.push(words);
    return { status: 400, body: { errors: [words] } };
  };

  function logIn(body: Record<string, unknown>): IssuerReply {
    if (Object.keys(body).sort().join() !== 'jwt,role') return complain('the login takes role and jwt');
    if (body.jwt !== LOGIN_JWT || body.role !== 'countersign')
      return { status: 400, body: { errors: [`error validating token ${body.jwt}`] } };
    const token = `hvs.${randomBytes(18).toString('base64url')}`;
    tokens.set(token, { leases: new Set() });
    const auth = {
      client_token: token,
      accessor: randomBytes(9).toString('hex'),
      policies: ['default', 'deployer'],
      token_policies: ['default', 'deployer'],
      lease_duration: 1800,
      renewable: true,
      token_type: 'service',
      orphan: true,
    };
    return {
      status: 200,
      body: {
        request_id: randomUUID(),
        lease_id: '',
        renewable: false,
        lease_duration: 0,
        data: null,
        wrap_info: null,
        warnings: null,
        auth: alterLogin(auth),
      },
    };
  }

  function read(path: string, token: Token, body: Record<string, unknown> | undefined): IssuerReply {
    const secret = `pw-${randomBytes(12).toString('hex')}`;
    madeSecrets.push(secret);
    const leased = /^(database|kubernetes)\/creds\/([\w-]+)$/.exec(path);
    const lease = leased === null ? '' : `${path}/${randomBytes(12).toString('base64url')}`;
    if (leased === null && path !== 'kv/ledger') return { status: 404, body: { errors: [] } };
    if (leased?.[1] === 'kubernetes' && typeof body?.kubernetes_namespace !== 'string')
      return { status: 400, body: { errors: ["'kubernetes_namespace' is required"] } };
    if (lease !== '') {
      token.leases.add(lease);
      live.set(lease, secret);
    }
    const data =
      leased?.[1] === 'kubernetes'
        ? { service_account_token: secret }
        : { username: `v-jwt-${leased?.[2] ?? 'kv'}`, password: secret };
    const answer = {
      request_id: randomUUID(),
      lease_id: lease,
      renewable: lease !== '',
      lease_duration: 600,
      data,
      wrap_info: null,
      warnings: null,
      auth: null,
    };
    return { status: 200, body: alterRead(answer) };
  }

  function asToken(value: string, { method, path, body }: IssuerRequest): IssuerReply {
    const token = tokens.get(value);
    if (token === undefined) return { status: 403, body: { errors: ['permission denied'] } };
    const parsed = body === '' ? undefined : (JSON.parse(body) as Record<string, unknown>);
    if (path === '/v1/sys/leases/revoke') {
      if (method !== 'PUT' && method !== 'POST') return complain('a lease is revoked by PUT or POST');
      if (typeof parsed?.lease_id !== 'string' || parsed.sync !== true) return complain('lease_id and sync are wanted');
      live.delete(parsed.lease_id);
      return { status: 204 };
    }
    if (path === '/v1/auth/token/revoke-self' && method === 'POST') {
      for (const lease of token.leases) live.delete(lease);
      tokens.delete(value);
      return { status: 204 };
    }
    if (path === '/v1/auth/token/lookup-self' && method === 'GET')
      return { status: 200, body: { data: { id: value } } };
    if (method !== 'GET' && method !== 'POST') return complain(`no ${method} ${path}`);
    return read(path.replace('/v1/', ''), token, parsed);
  }

  const server = await startIssuerServer((request) => {
    if (request.headers['x-vault-request'] !== 'true') return complain('the field X-Vault-Request is missing');
    const status = refused.get(request.path);
    if (status !== undefined) return { status, body: { errors: ['refused by the test'] } };
    if (request.path === '/v1/auth/jwt/login')
      return request.method === 'POST' ? logIn(JSON.parse(request.body)) : complain('a login is a POST');
    return asToken(String(request.headers['x-vault-token'] ?? ''), request);
  });
  return {
    ...server,
    live,
    get logins() {
      return tokens.size;
    },
    madeSecrets,
    violations,
    alter({ login, read: answer }) {
      alterLogin = login ?? alterLogin;
      alterRead = answer ?? alterRead;
    },
    refuse(path, status) {
      if (status === undefined) refused.delete(path);
      else refused.set(path, status);
    },
  };
}
