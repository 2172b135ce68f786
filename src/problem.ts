// From a typed error to what goes on the wire: RFC 9457 problem+json, RFC 9209 Proxy-Status, RFC 6750 challenges, and
// the fields that tell a client's retry logic what to do. Translated here once, written by whoever holds the
// connection.

import type { HeaderList } from './domain/headers.ts';
import { type AnswerTo, tell } from './domain/telling.ts';
import { ERRORS, type ErrorCode, type GatewayError } from './errors.ts';

/** Where the gateway serves the page of each problem. */
export const PROBLEM_BASE = '/countersign/problems/';
export const HOLD_BASE = '/countersign/v1/holds/';

export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
}

export interface ProblemContext {
  /** The request's id: `instance` becomes `urn:uuid:<id>`. */
  readonly requestId: string;
  /** What the error answers; by default no call, and then it says nothing of one. */
  readonly to?: AnswerTo;
  /** How the agent reaches the gateway, without a slash at the end; absent where nobody knows. */
  readonly base?: string;
  /** Value of WWW-Authenticate for 401 answers. */
  readonly challenge?: string;
}

/**
 * The problem document of an error. Members come from the table and from the error's own details; causes stay inside.
 */
export function problem(error: GatewayError, context: ProblemContext): Answer {
  const spec = ERRORS[error.code];
  const { holdId, members } = error.details;
  const detail = tell(error, context.to ?? 'question');
  const document = {
    ...members,
    type: `${PROBLEM_BASE}${error.code}`,
    title: spec.title,
    status: spec.status,
    code: error.code,
    detail,
    instance: `urn:uuid:${context.requestId}`,
    // Where the SDKs of model providers look for a message; without it their users see a bare status.
    error: { code: error.code, message: detail },
    ...(holdId !== undefined && { hold: holdOf(error, holdId, context) }),
  };
  return {
    status: spec.status,
    headers: ['content-type', 'application/problem+json', ...problemFields(error, context)],
    body: JSON.stringify(document),
  };
}

function holdOf({ details: { retryAfter, pending } }: GatewayError, id: string, { base = '' }: ProblemContext) {
  return { id, url: `${base}${HOLD_BASE}${id}`, ...(retryAfter !== undefined && { retryAfter }), ...pending };
}

/** The fields that an answer of the gateway's own carries, whatever its body's form. */
export function problemFields(error: GatewayError, context: ProblemContext): string[] {
  const spec = ERRORS[error.code];
  const { holdId, retryAfter, dpopNonce } = error.details;
  const fields = [
    'cache-control',
    'no-store',
    'x-should-retry',
    String(spec.retry),
    'proxy-status',
    proxyStatus(error.code),
  ];
  if (retryAfter !== undefined) fields.push('retry-after', String(retryAfter));
  if (holdId !== undefined) fields.push('countersign-hold', holdId);
  if (spec.status === 401 && context.challenge !== undefined) fields.push('www-authenticate', context.challenge);
  if (dpopNonce !== undefined) fields.push('dpop-nonce', dpopNonce);
  if (spec.status === 405) fields.push('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
  return fields;
}

/** RFC 9209 section 2.1; `details` carries the code, which never needs quoting. */
function proxyStatus(code: ErrorCode): string {
  return `countersign; error=${ERRORS[code].proxy}; details="${code}"`;
}

/** RFC 7240 section 4.1: a pending call that was sent with `Prefer: respond-async`. */
export function accepted(error: GatewayError, context: ProblemContext): Answer {
  const { holdId = '', retryAfter, members } = error.details;
  const location = HOLD_BASE + holdId;
  return {
    status: 202,
    headers: [
      'content-type',
      'application/json',
      ...problemFields(error, context),
      'preference-applied',
      'respond-async',
      'location',
      location,
    ],
    body: JSON.stringify({
      ...members,
      code: error.code,
      status: 'pending',
      detail: tell(error, context.to ?? 'question'),
      hold: holdOf(error, holdId, context),
      ...(retryAfter !== undefined && { retryAfter }),
    }),
  };
}
