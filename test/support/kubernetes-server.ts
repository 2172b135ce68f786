// The two corners of a Kubernetes API server that bound tokens need, written from its published API description
// (authentication.k8s.io/v1 TokenRequest, v1 Secret, meta/v1 DeleteOptions and Status) and strict about members. A
// bound token dies with its Secret. It knows one caller, no RBAC beyond a list of service accounts, no admission, and
// its tokens are signed by nobody.

import { randomBytes, randomUUID } from 'node:crypto';
import { type IssuerReply, type IssuerRequest, type IssuerServer, startIssuerServer } from './issuer-server.ts';

export const GATEWAY_TOKEN = 'gateways-own-token-literal';
const ACCOUNTS = ['shop/deployer', 'shop/reader'];
const OWN_AUDIENCE = 'https://kubernetes.default.svc';

interface BoundToken {
  readonly uid: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface KubernetesServer extends IssuerServer {
  /** Tokens made, in order. */
  readonly made: readonly string[];
  readonly asked: readonly Readonly<Record<string, unknown>>[];
  isAlive(token: string): boolean;
  /** Secrets that exist. */
  anchors(): readonly Readonly<Record<string, unknown>>[];
  /** What the API description forbids, in words; a test expects none. */
  readonly violations: readonly string[];
  /** Alters the TokenRequest that is answered; returning undefined refuses it. */
  alter(how: (answer: Answer) => Answer | undefined): void;
}

export interface Answer {
  spec: Record<string, unknown>;
  status: Record<string, unknown>;
}

export async function startKubernetes(): Promise<KubernetesServer> {
  const secrets = new Map<string, Record<string, unknown>>();
  const tokens = new Map<string, BoundToken>();
  const asked: Record<string, unknown>[] = [];
  const violations: string[] = [];
  let alter = (answer: Answer): Answer | undefined => answer;

  const complain = (words: string): IssuerReply => {
    violations.push(words);
    return status(400, 'BadRequest');
  };

  function createSecret(namespace: string, body: Body): IssuerReply {
    if (!only(body, ['apiVersion', 'kind', 'type', 'metadata']) || body.apiVersion !== 'v1' || body.kind !== 'Secret')
      return complain('not an empty v1 Secret');
    const metadata = body.metadata as Body;
    if (
      !only(metadata, ['name', 'labels', 'annotations']) ||
      !/^[a-z0-9][a-z0-9.-]{0,252}$/.test(String(metadata.name))
    )
      return complain('metadata does not fit');
    if (!Object.values({ ...(metadata.annotations as Body) }).every((value) => typeof value === 'string'))
      return complain('an annotation is no text');
    const key = `${namespace}/${metadata.name}`;
    if (secrets.has(key)) return status(409, 'AlreadyExists');
    const created = { ...body, metadata: { ...metadata, namespace, uid: randomUUID(), resourceVersion: '1' } };
    secrets.set(key, created);
    return { status: 201, body: created };
  }

  function createToken(namespace: string, account: string, body: Body): IssuerReply {
    if (
      !only(body, ['apiVersion', 'kind', 'spec']) ||
      body.apiVersion !== 'authentication.k8s.io/v1' ||
      body.kind !== 'TokenRequest'
    )
      return complain('not a TokenRequest');
    const spec = body.spec as Body;
    const bound = spec.boundObjectRef as Body;
    if (!only(spec, ['audiences', 'expirationSeconds', 'boundObjectRef']) || !Array.isArray(spec.audiences))
      return complain('spec does not fit');
    if (!only(bound, ['apiVersion', 'kind', 'name', 'uid'])) return complain('boundObjectRef does not fit');
    if (!ACCOUNTS.includes(`${namespace}/${account}`)) return status(403, 'Forbidden');
    const seconds = Number(spec.expirationSeconds);
    if (!Number.isInteger(seconds) || seconds < 600 || seconds > 2 ** 32) return status(422, 'Invalid');
    const secret = secrets.get(`${namespace}/${bound.name}`)?.metadata as Body | undefined;
    if (bound.kind !== 'Secret' || secret === undefined) return status(404, 'NotFound');
    if (secret.uid !== bound.uid) return status(409, 'Conflict');
    asked.push(body);
    const token = `eyJhbGciOiJSUzI1NiJ9.${randomBytes(24).toString('base64url')}.${randomBytes(24).toString('base64url')}`;
    tokens.set(token, { uid: String(bound.uid), spec });
    const answer = alter({
      spec: { ...spec, audiences: spec.audiences.length === 0 ? [OWN_AUDIENCE] : spec.audiences },
      status: {
        token,
        expirationTimestamp: new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
      },
    });
    if (answer === undefined) return status(500, 'InternalError');
    return {
      status: 201,
      body: {
        kind: 'TokenRequest',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { name: account, namespace },
        ...answer,
      },
    };
  }

  function deleteSecret(key: string, body: Body): IssuerReply {
    if (
      !only(body, ['apiVersion', 'kind', 'preconditions']) ||
      body.kind !== 'DeleteOptions' ||
      !only(body.preconditions as Body, ['uid'])
    )
      return complain('not DeleteOptions');
    const metadata = secrets.get(key)?.metadata as Body | undefined;
    if (metadata === undefined) return status(404, 'NotFound');
    if (metadata.uid !== (body.preconditions as Body).uid) return status(409, 'Conflict');
    secrets.delete(key);
    return {
      status: 200,
      body: {
        kind: 'Status',
        apiVersion: 'v1',
        status: 'Success',
        details: { name: metadata.name, kind: 'secrets', uid: metadata.uid },
      },
    };
  }

  function answer({ method, path, headers, body }: IssuerRequest): IssuerReply {
    if (headers.authorization !== `Bearer ${GATEWAY_TOKEN}`) return status(401, 'Unauthorized');
    if (headers['content-type'] !== 'application/json') return complain('the body is not declared as JSON');
    const parsed = JSON.parse(body) as Body;
    const [, namespace = '', rest = ''] = /^\/api\/v1\/namespaces\/([a-z0-9-]+)\/(.+)$/.exec(path) ?? [];
    const [kind, name, sub] = rest.split('/');
    if (method === 'POST' && kind === 'secrets' && name === undefined) return createSecret(namespace, parsed);
    if (method === 'POST' && kind === 'serviceaccounts' && name !== undefined && sub === 'token')
      return createToken(namespace, name, parsed);
    if (method === 'DELETE' && kind === 'secrets' && name !== undefined)
      return deleteSecret(`${namespace}/${name}`, parsed);
    return complain(`the description knows no ${method} ${path}`);
  }

  const server = await startIssuerServer(answer);
  return {
    ...server,
    get made() {
      return [...tokens.keys()];
    },
    asked,
    violations,
    isAlive: (token) => [...secrets.values()].some(({ metadata }) => (metadata as Body).uid === tokens.get(token)?.uid),
    anchors: () => [...secrets.values()],
    alter(how) {
      alter = how;
    },
  };
}

type Body = Record<string, unknown>;

function only(object: Body | undefined, members: readonly string[]): boolean {
  return typeof object === 'object' && object !== null && Object.keys(object).every((name) => members.includes(name));
}

function status(code: number, reason: string): IssuerReply {
  return {
    status: code,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: `bearer ${GATEWAY_TOKEN} said no`,
      reason,
      code,
    },
  };
}
