// Credential type `kubernetes`: a service account token by TokenRequest, bound to a Secret that exists for this one
// credential. Deleting the Secret ends the token (authentication.k8s.io/v1, "Bound service account tokens"). Trusts the
// configured API server. Refuses tokens for other audiences, of longer life or bound to something else than was asked
// for: API servers can be set to do each of these.

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Grant, Minted } from '../../domain/credential.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { Secret } from '../../domain/secret.ts';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { duration } from '../../settings/units.ts';
import { faultName, UnwantedGrant, unavailable } from '../broker-provider.ts';
import { credentialType, type SettingsOf } from '../credential-type.ts';
import { callIssuer, type IssuerAnswer, isFieldSafe, issuerAccess, readObject } from '../issuer-call.ts';
import { readName, readNames, refuseUnknown, tooMuch, unfit } from '../scope-values.ts';
import { issuerAuthority, issuerTimeout } from '../settings.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('kubernetes'),
      server: secureUrl()
        .default('https://kubernetes.default.svc')
        .describe('API server; default https://kubernetes.default.svc'),
      ca: issuerAuthority(context),
      // Read at each request, since the kubelet replaces it.
      token: secret(context).describe('The gateway’s own token'),
      serviceAccounts: z
        .array(z.string().regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, { error: 'Write namespace/name.' }))
        .min(1)
        .describe('Service accounts that tokens may be made for, as namespace/name'),
      audiences: z
        .array(z.string().min(1))
        .min(1)
        .exactOptional()
        .describe('Audiences that a token may be for; default the API server’s own'),
      duration: duration({ least: '10m', most: '1d' })
        .prefault('10m')
        .describe('How long a token lives; default 10m, which is the least'),
      share: z.boolean().default(true).describe('Whether calls that need no approval share a token; default true'),
      timeout: issuerTimeout(),
    })
    .transform(({ timeout: timeoutMs, duration: durationMs, ...rest }) => ({ ...rest, timeoutMs, durationMs }));

type Settings = SettingsOf<typeof settings>;

const CLOCK_SLACK_MS = 60_000;
/** RFC 1123 labels, dots between them for names. */
const ACCOUNT = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const AUDIENCE = /^[\x21-\x7e]{1,500}$/;

interface ServiceAccountRequest {
  readonly namespace: string;
  readonly account: string;
  readonly audiences?: readonly string[];
}

interface Anchor {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export const kubernetes = credentialType({
  name: 'kubernetes',
  settings,
  create(own, tools) {
    const { type, token, durationMs, share } = own;
    const access = issuerAccess(own, tools);
    const base = own.server.replace(/\/$/, '');

    const call = (method: 'POST' | 'DELETE', path: string, body: JsonObject): Promise<IssuerAnswer> =>
      callIssuer(access, {
        method,
        url: `${base}/api/v1/namespaces/${path}`,
        headers: {
          accept: 'application/json',
          'content-type': 'application/json',
          authorization: `Bearer ${token.read().reveal()}`,
        },
        body: JSON.stringify(body),
      });

    async function createAnchor({ namespace }: ServiceAccountRequest, grant: Grant): Promise<Anchor> {
      const answer = await call('POST', `${namespace}/secrets`, anchorBody(grant, durationMs));
      if (answer.status !== 201)
        throw unavailable(`Kubernetes refused to make the object that the token hangs on: ${reasonOf(answer)}.`);
      const { name, uid } = memberOf(readObject(answer), 'metadata');
      if (typeof name !== 'string' || typeof uid !== 'string')
        throw unavailable('Kubernetes does not name the object that it made.');
      return { namespace, name, uid };
    }

    return {
      type,
      shareable: share,
      async mint(grant) {
        const asked = narrow(own, grant.plan.scope);
        const anchor = await createAnchor(asked, grant);
        const handle = new Secret(JSON.stringify(anchor));
        const ends = { handle, expiresAt: grant.now + durationMs + CLOCK_SLACK_MS };
        const path = `${asked.namespace}/serviceaccounts/${asked.account}/token`;
        const answer = await call('POST', path, requestBody(asked, anchor, durationMs)).catch((thrown) => {
          throw new UnwantedGrant('credential_unavailable', `Kubernetes gave no token: ${faultName(thrown)}.`, ends);
        });
        if (answer.status !== 201) {
          const detail = `Kubernetes refused to make a token: ${reasonOf(answer)}.`;
          throw new UnwantedGrant('credential_unavailable', detail, ends);
        }
        return accept(answer, asked, anchor, grant.now + durationMs, ends);
      },
      async revoke(handle) {
        const { namespace, name, uid } = JSON.parse(handle.reveal()) as Anchor;
        // With its uid: another object of the same name is not ours to delete.
        const answer = await call('DELETE', `${namespace}/secrets/${name}`, {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          preconditions: { uid },
        });
        if (![200, 202, 404, 409, 410].includes(answer.status))
          throw unavailable(`Kubernetes did not delete the object: ${reasonOf(answer)}.`);
      },
    };
  },
  clientOf: ({ server }) => server,
  describe: ({ type }) => `by ${type}, made for this call and ended when it is over`,
});

function narrow({ serviceAccounts, audiences: most }: Settings, scope: JsonObject): ServiceAccountRequest {
  refuseUnknown(scope, ['serviceAccount', 'audiences']);
  const chosen =
    readName(scope, 'serviceAccount', ACCOUNT) ?? (serviceAccounts.length === 1 ? serviceAccounts[0] : undefined);
  if (chosen === undefined) throw unavailable('The rule does not say which of the service accounts the token is for.');
  if (!serviceAccounts.includes(chosen)) throw tooMuch('serviceAccount');
  const [namespace = '', account = '', ...rest] = chosen.split('/');
  if (rest.length > 0) throw unfit('serviceAccount');
  const audiences = readNames(scope, 'audiences', AUDIENCE) ?? most;
  if (most !== undefined && audiences?.some((audience) => !most.includes(audience))) throw tooMuch('audiences');
  return { namespace, account, ...(audiences !== undefined && { audiences }) };
}

/**
 * An empty Secret: it holds nothing, and only its existence counts. The annotation lets an operator find what a crash
 * left.
 */
function anchorBody({ holdId, now }: Grant, durationMs: number): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'countersign.dev/token-anchor',
    metadata: {
      name: `countersign-${randomBytes(12).toString('hex')}`,
      labels: { 'app.kubernetes.io/managed-by': 'countersign' },
      annotations: {
        'countersign.dev/expires': new Date(now + durationMs).toISOString(),
        ...(holdId !== undefined && { 'countersign.dev/hold': holdId }),
      },
    },
  };
}

function requestBody({ audiences }: ServiceAccountRequest, { name, uid }: Anchor, durationMs: number): JsonObject {
  return {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      // Empty means the API server's own; the member itself is required.
      audiences: [...(audiences ?? [])],
      expirationSeconds: Math.floor(durationMs / 1000),
      boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name, uid },
    },
  };
}

function accept(
  answer: IssuerAnswer,
  asked: ServiceAccountRequest,
  anchor: Anchor,
  latest: number,
  ends: { handle: Secret; expiresAt: number },
): Minted {
  let object: JsonObject;
  try {
    object = readObject(answer);
  } catch {
    throw new UnwantedGrant('credential_unavailable', 'Kubernetes’ answer cannot be read.', ends);
  }
  const status = memberOf(object, 'status');
  const spec = memberOf(object, 'spec');
  const expiresAt =
    typeof status.expirationTimestamp === 'string' ? Date.parse(status.expirationTimestamp) : Number.NaN;
  const { token } = status;
  if (!isFieldSafe(token) || Number.isNaN(expiresAt))
    throw new UnwantedGrant('credential_unavailable', 'Kubernetes’ answer holds no usable token.', ends);
  const fault =
    exceeds(spec, asked, anchor) ??
    (expiresAt > latest + CLOCK_SLACK_MS ? 'Kubernetes made a token that lives longer than asked for.' : undefined);
  if (fault !== undefined) throw new UnwantedGrant('credential_too_broad', fault, { ...ends, expiresAt });
  return {
    injection: { in: 'header', name: 'authorization', value: new Secret(`Bearer ${token}`) },
    secrets: [new Secret(token)],
    expiresAt,
    revocability: 'object',
    granted: { serviceAccount: `${asked.namespace}/${asked.account}`, audiences: (spec.audiences ?? []) as Json },
    handle: ends.handle,
  };
}

function exceeds(spec: JsonObject, { audiences }: ServiceAccountRequest, anchor: Anchor): string | undefined {
  const bound = memberOf(spec, 'boundObjectRef');
  if (bound.kind !== 'Secret' || bound.name !== anchor.name || bound.uid !== anchor.uid)
    return 'Kubernetes did not bind the token to the object given.';
  const granted = Array.isArray(spec.audiences) ? spec.audiences : [];
  const within =
    audiences === undefined ||
    (granted.length > 0 && granted.every((audience) => audiences.includes(audience as string)));
  return within ? undefined : 'Kubernetes made a token for other audiences than those asked for.';
}

function memberOf(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return isJsonObject(value) ? value : {};
}

/** The `reason` of a Status object, when it is spelled like one. */
function reasonOf(answer: IssuerAnswer): string {
  try {
    const { reason } = readObject(answer);
    if (typeof reason === 'string' && /^[A-Za-z]{1,40}$/.test(reason)) return reason;
  } catch {
    // An answer that is no Status says nothing that could be passed on.
  }
  return `status ${answer.status}`;
}
