// The reviewers' API as the terminal uses it. Sends the token only over TLS or to this machine, follows no redirects,
// and shows no hold that it cannot read completely.

import { z } from 'zod';
import { visible } from '../domain/visible-text.ts';
import { CommandError, UsageError } from './terminal.ts';

const party = z.object({
  ...{ id: z.string(), issuer: z.string(), subject: z.string() },
  ...{ person: z.string().optional(), agentKey: z.string().optional() },
});

const shownHold = z.object({
  id: z.string(),
  state: z.string(),
  bindingDigest: z.string().regex(/^[0-9a-f]{64}$/),
  actionDigest: z.string(),
  action: z.object({
    protocol: z.string(),
    upstream: z.string(),
    authority: z.string(),
    method: z.string(),
    target: z.string(),
    tool: z.string().optional(),
    toolChange: z.object({ pinned: z.record(z.string(), z.json()), now: z.record(z.string(), z.json()) }).optional(),
    args: z.json().optional(),
    contentType: z.string().optional(),
    upgrade: z.object({ subprotocols: z.array(z.string()), extensions: z.array(z.string()) }).optional(),
    headers: z.array(z.object({ name: z.string(), value: z.string() })),
    leftBehind: z.array(z.string()).optional(),
    bodyText: z.string().optional(),
    bodyKept: z.boolean().optional(),
    bodyDigest: z.string(),
    bodyLength: z.number(),
  }),
  credential: z.object({ name: z.string(), scope: z.json() }).optional(),
  principal: party.extend({
    kind: z.string(),
    trustDomain: z.string().optional(),
    spiffeId: z.string().optional(),
    client: z.string().optional(),
    name: z.string().optional(),
    onBehalfOf: z.array(party),
    owners: z.array(z.string()),
  }),
  task: z
    .object({
      id: z.string(),
      revision: z.number(),
      root: z.string(),
      provenance: z.string(),
      heading: z.string(),
      objective: z.string().optional(),
      prompt: z.string().optional(),
      endsBy: z.string().optional(),
      plan: z.array(z.string()).default([]),
      labels: z.array(z.string()).default([]),
      calls: z
        .array(
          z.object({
            at: z.string(),
            upstream: z.string(),
            method: z.string(),
            path: z.string(),
            tool: z.string().optional(),
            decision: z.string(),
          }),
        )
        .default([]),
    })
    .optional(),
  rules: z.array(z.object({ id: z.string(), effect: z.string(), why: z.string(), maintainer: z.string().optional() })),
  requirements: z.array(
    z.object({
      tier: z.string(),
      from: z.array(z.string()).optional(),
      reviewers: z.array(z.string()),
      count: z.number(),
      stepUp: z.boolean(),
      // Absent from gateways of earlier versions.
      assurance: z
        .object({
          passkey: z.literal(true).optional(),
          acr: z.array(z.string()).optional(),
          maxAgeSeconds: z.number().optional(),
        })
        .optional(),
      reasonRequired: z.boolean(),
      bindSession: z.literal(true).optional(),
      escalate: z.object({ to: z.array(z.string()), at: z.string(), inForce: z.boolean() }).optional(),
    }),
  ),
  data: z.string().optional(),
  reversible: z.boolean().optional(),
  // Absent from gateways of earlier versions.
  facts: z
    .object({
      resources: z.array(z.string()),
      operation: z.string(),
      environment: z.string().optional(),
      owners: z.array(z.array(z.string())),
      destinations: z
        .array(z.object({ value: z.string(), host: z.string().optional(), trust: z.string(), role: z.string() }))
        .optional(),
      destinationsUnknown: z.string().optional(),
      marks: z
        .array(
          z.object({
            taint: z.string(),
            scope: z.string(),
            key: z.string(),
            until: z.string(),
            cause: z.object({ at: z.string(), resources: z.array(z.string()) }),
          }),
        )
        .optional(),
      meters: z.record(z.string(), z.number()).optional(),
      novel: z.array(z.string()).optional(),
    })
    .optional(),
  votes: z.array(
    z.object({
      reviewer: z.object({ id: z.string(), name: z.string().optional() }),
      decision: z.string(),
      reason: z.string().optional(),
      at: z.string(),
    }),
  ),
  createdAt: z.string(),
  deadline: z.string(),
  useBy: z.string().optional(),
  endedBecause: z.string().optional(),
  outcomeStatus: z.number().optional(),
  youMay: z.object({ approve: z.boolean(), deny: z.boolean(), revoke: z.boolean(), why: z.string().optional() }),
});

/** A hold as the API shows it: every member that a decision needs. */
export type ShownHold = z.infer<typeof shownHold>;

const shownNotification = z.object({
  id: z.string().regex(/^msg_[\w-]+$/),
  channel: z.string(),
  kind: z.string(),
  subject: z.string(),
  state: z.string(),
  attempts: z.number(),
  createdAt: z.string(),
  lastError: z.string().optional(),
});

export type ShownNotification = z.infer<typeof shownNotification>;

const shownSuspension = z.object({
  id: z.string().regex(/^susp_[\w-]+$/),
  principal: z.string().optional(),
  person: z.string().optional(),
  task: z.string().optional(),
  upstream: z.string().optional(),
  trustDomain: z.string().optional(),
  everything: z.literal(true).optional(),
  reason: z.string(),
  by: z.string(),
  at: z.string(),
  until: z.string().optional(),
});

export type ShownSuspension = z.infer<typeof shownSuspension>;

const suspended = shownSuspension.extend({
  revokedHolds: z.number(),
  cutConnections: z.number(),
  credentialsRevoked: z.boolean(),
});

const shownFacts = z.record(z.string(), z.json());

/** A page of the list: its entries lack what a decision needs. */
const page = z.object({ holds: z.array(shownHold), next: z.string().optional() });
const refusal = z.object({
  code: z.string(),
  title: z.string().optional(),
  detail: z.string().optional(),
  page: z.url({ protocol: /^https?$/ }).optional(),
  passkey: z.literal(true).optional(),
});

/**
 * A refusal by the API, with the code of its problem document. Of a sign-in that is too old or too weak: the strength
 * that is asked for (RFC 9470), and the page on which the person can decide.
 */
export class ApiError extends CommandError {
  readonly code: string;
  readonly page: string | undefined;
  /** A passkey is asked for, which only the page takes. */
  readonly needsPasskey: boolean;
  readonly acrValues: string | undefined;
  constructor({ code, page, passkey }: z.infer<typeof refusal>, message: string, challenge?: string | null) {
    super(message);
    this.code = code;
    this.page = page;
    this.needsPasskey = passkey === true;
    this.acrValues = /\bacr_values="([\x20-\x21\x23-\x5b\x5d-\x7e]+)"/.exec(challenge ?? '')?.[1];
  }
}

export interface ReviewClient {
  /** Where the console shows this hold to people, if it has pages. */
  pageOf(id: string): string;
  list(state: string, after?: string): Promise<z.infer<typeof page>>;
  get(id: string): Promise<ShownHold>;
  vote(
    id: string,
    ballot: { readonly decision: 'approve' | 'deny'; readonly bindingDigest: string; readonly reason?: string },
  ): Promise<ShownHold>;
  revoke(id: string, reason: string | undefined): Promise<ShownHold>;
  notifications(state: string): Promise<readonly ShownNotification[]>;
  /** What is known of an agent key, a person, a root or a resource. */
  facts(scope: string, key: string): Promise<z.infer<typeof shownFacts>>;
  retryNotification(id: string): Promise<ShownNotification>;
  suspensions(): Promise<readonly ShownSuspension[]>;
  suspend(order: Readonly<Record<string, unknown>>): Promise<z.infer<typeof suspended>>;
  lift(id: string): Promise<ShownSuspension>;
}

const TIMEOUT_MS = 30_000;

/**
 * `token` is called before each request. Throws UsageError when the URL would send the token in the clear over a
 * network.
 */
export function createReviewClient(url: string, token: () => Promise<string>): ReviewClient {
  const base = checkServiceUrl(url, 'the reviewers’ API');

  const call = async <T>(schema: z.ZodType<T>, path: string, body?: unknown, method = 'POST'): Promise<T> => {
    const headers = {
      authorization: `Bearer ${await token()}`,
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const response = await fetch(new URL(path, base), {
      headers,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      ...(method !== 'POST' && { method }),
    }).catch((error: unknown) => {
      throw new CommandError(`The reviewers’ API at ${base.origin} cannot be reached: ${reason(error)}.`);
    });
    const answer: unknown = await response.json().catch(() => undefined);
    if (!response.ok) throw refused(response, answer);
    const parsed = schema.safeParse(answer);
    if (!parsed.success)
      throw new CommandError('This version cannot show all of what the reviewers’ API answered, so it shows nothing.');
    return parsed.data;
  };
  const holdPath = (id: string) => `api/v1/holds/${encodeURIComponent(id)}`;

  return {
    pageOf: (id) => new URL(`holds/${encodeURIComponent(id)}`, base).href,
    list: (state, after) =>
      call(page, `api/v1/holds?${new URLSearchParams({ state, ...(after !== undefined && { after }) })}`),
    get: (id) => call(shownHold, holdPath(id)),
    vote: (id, ballot) => call(shownHold, `${holdPath(id)}/votes`, ballot),
    notifications: async (state) =>
      (
        await call(
          z.object({ notifications: z.array(shownNotification) }),
          `api/v1/notifications?${new URLSearchParams({ state, limit: '200' })}`,
        )
      ).notifications,
    facts: (scope, key) => call(shownFacts, `api/v1/facts?${new URLSearchParams({ [scope]: key })}`),
    retryNotification: (id) => call(shownNotification, `api/v1/notifications/${encodeURIComponent(id)}/retry`, {}),
    suspensions: async () =>
      (await call(z.object({ suspensions: z.array(shownSuspension) }), 'api/v1/suspensions')).suspensions,
    suspend: (order) => call(suspended, 'api/v1/suspensions', order),
    lift: (id) => call(shownSuspension, `api/v1/suspensions/${encodeURIComponent(id)}`, undefined, 'DELETE'),
    revoke: (id, reason) => call(shownHold, `${holdPath(id)}/revoke`, { ...(reason && { reason }) }),
  };
}

/** An absolute URL with a trailing slash, https or on this machine. */
export function checkServiceUrl(text: string, what: string): URL {
  const url = URL.parse(text.endsWith('/') ? text : `${text}/`);
  if (url === null) throw new UsageError(`${text} is not a URL.`);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) {
    throw new UsageError(`Write an https URL for ${what}: the token is sent there.`);
  }
  return url;
}

export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

function refused({ status, headers }: Response, answer: unknown): ApiError {
  const parsed = refusal.safeParse(answer);
  if (!parsed.success) return new ApiError({ code: 'unknown' }, `The reviewers’ API answered ${status}.`);
  const { code, title, detail } = parsed.data;
  return new ApiError(
    parsed.data,
    visible(`${title ?? code}: ${detail ?? ''} (${code})`).text,
    headers.get('www-authenticate'),
  );
}

function reason(error: unknown): string {
  const { cause } = error as { cause?: { code?: string } };
  if (cause?.code !== undefined) return cause.code;
  return error instanceof Error ? error.name : 'unknown';
}
