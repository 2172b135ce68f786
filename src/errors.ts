// Every way in which the gateway refuses or fails: one class, one table. The code is spelled the same in err.code, the
// problem document, the span's error.type, the audit record and the docs (docs/errors.md is checked against this table
// both ways). Never match on message text: what a writer has to know is a column.

/**
 * What is known of the effect of a call that ends with an error: `no`, nothing was executed; `maybe`, the call may have
 * taken effect; `unsaid`, the error alone does not tell, and then nothing is said. Whoever knows more says so in
 * `details.executed`.
 */
export type Executed = 'no' | 'maybe' | 'unsaid';

interface ErrorSpec {
  readonly status: number;
  readonly title: string;
  /**
   * Of the call that this error ends, as far as the code alone tells. An error that is no call's ending is never said
   * with it.
   */
  readonly executed: Executed;
  /** What a client's automatic retry should do: `x-should-retry`. */
  readonly retry: boolean;
  /** RFC 9209 section 2.3 error type for the Proxy-Status field. */
  readonly proxy: ProxyErrorType;
  /**
   * What to do about it, as an instruction to whoever reads it, often a language model. How long to wait stands in
   * `details.retryAfter`.
   */
  readonly remedy: string;
}

type ProxyErrorType =
  | 'http_request_error'
  | 'http_request_denied'
  | 'destination_not_found'
  | 'destination_unavailable'
  | 'destination_ip_prohibited'
  | 'connection_refused'
  | 'connection_terminated'
  | 'connection_timeout'
  | 'connection_limit_reached'
  | 'tls_certificate_error'
  | 'http_response_incomplete'
  | 'http_response_timeout'
  | 'http_protocol_error'
  | 'http_upgrade_failed'
  | 'proxy_configuration_error'
  | 'proxy_internal_error';

/** The request itself is at fault: nothing was done with it. */
const request = (status: number, title: string, remedy: string): ErrorSpec => ({
  status,
  title,
  executed: 'no',
  retry: false,
  proxy: 'http_request_error',
  remedy,
});
const refused = (status: number, title: string, executed: Executed, remedy: string): ErrorSpec => ({
  status,
  title,
  executed,
  retry: false,
  proxy: 'http_request_denied',
  remedy,
});
/** Whoever calls is not known or not trusted: nothing was done for them. */
const token = (title: string, remedy: string): ErrorSpec => refused(401, title, 'no', remedy);
/** What only reviewers get: it says nothing about the call that they look at. */
const review = (status: number, title: string, remedy: string): ErrorSpec => refused(status, title, 'unsaid', remedy);
const fault = (
  status: number,
  title: string,
  proxy: ProxyErrorType,
  executed: Executed,
  remedy: string,
  retry = false,
): ErrorSpec => ({
  status,
  title,
  executed,
  retry,
  proxy,
  remedy,
});

export const ERRORS = {
  // receive
  bad_request: request(400, 'The request is not well-formed', 'Correct the request and send it again.'),
  bad_path: request(
    400,
    'The path is ambiguous',
    'Send a path without dot segments, empty segments, backslashes, fragments or encoded separators.',
  ),
  bad_header: request(
    400,
    'A header field is ambiguous or forbidden',
    'Send each field once, with a valid name and value, and no method override.',
  ),
  bad_host: request(400, 'The Host field is not valid', 'Send exactly one Host field that names this gateway.'),
  bad_json: request(
    400,
    'The JSON body is ambiguous',
    'Send strict JSON: each key once, whatever its letter case, numbers that survive a round trip, no lone surrogates, bounded depth.',
  ),
  bad_rpc: request(
    400,
    'The JSON-RPC message is not acceptable',
    'Send one JSON-RPC 2.0 message whose Mcp-* fields agree with its body.',
  ),
  header_mismatch: request(
    400,
    'An Mcp-Param field and the arguments disagree',
    'List the tools, and send each argument that is marked with x-mcp-header in its Mcp-Param field, with the same value.',
  ),
  method_not_allowed: request(
    405,
    'The method is not supported',
    'Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.',
  ),
  request_timeout: request(408, 'The request arrived too slowly', 'Send the whole request without pauses.'),
  payload_too_large: request(
    413,
    'The body is too large to be inspected or held',
    'Send a smaller body, or ask the platform team to raise limits.heldBody or limits.inspectedBody.',
  ),
  field_not_bound: request(
    400,
    'The call would lose a header field on which its effect depends',
    'Send it without the named fields if it means the same without them. Otherwise ask the platform team to list them under boundHeaders of the upstream.',
  ),
  unsupported_media_type: request(
    415,
    'The body cannot be inspected',
    'Send one Content-Type of application/json in UTF-8 without Content-Encoding. A call that is held may also have other UTF-8 text.',
  ),
  header_too_large: request(431, 'The header section is too large', 'Send fewer or shorter header fields.'),
  client_closed: refused(499, 'The client went away', 'unsaid', 'Nothing to do: nobody is there to read this.'),
  upgrade_refused: request(
    426,
    'This upgrade is not offered here',
    'Upgrade to websocket, on an upstream whose configuration says websocket: true.',
  ),
  session_not_found: request(
    404,
    'There is no such MCP session of yours',
    'Send it again; if that is refused too, open a new session with initialize, without Mcp-Session-Id.',
  ),
  not_found: request(
    404,
    'Nothing is mounted at this path',
    'Call /<upstream>/… with a name under upstreams in the configuration.',
  ),

  // identify
  unauthenticated: token(
    'The call carries no identity',
    'Send one workload token as Authorization: Bearer, or call over mTLS with an X.509-SVID where that is configured.',
  ),
  token_malformed: token('The token is malformed', 'Send one compact JWS, exactly as the issuer made it.'),
  token_untrusted: token(
    'The token’s issuer is not trusted here',
    'Use a token of an issuer or trust domain under identity.issuers.',
  ),
  token_algorithm: token(
    'The token uses an algorithm that is not accepted',
    'Have it signed with an algorithm that the issuer entry lists.',
  ),
  token_key_unknown: token(
    'The token names a key that its issuer does not publish',
    'Fetch a new token; if it persists, check the issuer’s JWKS or the trust bundle.',
  ),
  token_signature: token('The signature of the token is not valid', 'Fetch a new token from the issuer.'),
  token_audience: token(
    'The token is for another audience',
    'Request a token for the audience under identity.audience.',
  ),
  token_expired: token(
    'The token has expired',
    'Fetch a new token and send the identical request again; an existing approval can still be used.',
  ),
  token_not_yet_valid: token('The token is not valid yet', 'Check the clocks of the issuer and of this host.'),
  token_lifetime: token('The token lives too long', 'Request a token with a shorter lifetime.'),
  token_claims: token(
    'The token’s claims are not acceptable',
    'Use an access token of the expected profile, with every required claim.',
  ),
  token_inactive: token(
    'The token is no longer valid',
    'Fetch a new token: its issuer says that this one was revoked or is unknown.',
  ),
  certificate_malformed: token(
    'The client certificate is malformed',
    'Present an X.509-SVID exactly as its authority issued it.',
  ),
  certificate_profile: token(
    'The client certificate is not an X.509-SVID',
    'Present the X.509-SVID of one workload, not an authority’s or a server’s certificate.',
  ),
  certificate_untrusted: token(
    'The client certificate does not lead to a trusted authority',
    'Present the SVID with its intermediates; the platform team checks the trust domain’s bundle under identity.issuers.',
  ),
  certificate_expired: token(
    'The client certificate has expired',
    'Open a new connection with the current SVID and send the identical request again.',
  ),
  certificate_not_yet_valid: token(
    'The client certificate is not valid yet',
    'Check the clocks of the authority and of this host.',
  ),
  identity_conflict: token(
    'The token and the certificate name different callers',
    'Send a token of the same workload that the certificate names, or only one of them.',
  ),
  proof_required: token(
    'The token must come with proof of its key',
    'Send a DPoP proof with the token, or call over TLS with the certificate that it is bound to.',
  ),
  proof_invalid: token(
    'The proof of the token’s key is not valid',
    'Make a new DPoP proof for exactly this request, with the key that the token is bound to.',
  ),
  proof_nonce_required: token(
    'The proof must contain the gateway’s nonce',
    'Make a new DPoP proof with the nonce in the DPoP-Nonce field of this answer.',
  ),
  issuer_unavailable: fault(
    503,
    'The issuer’s keys are not available',
    'destination_unavailable',
    'no',
    'Try again shortly; the platform team finds the reason in the log and at /readyz.',
    true,
  ),

  principal_suspended: refused(
    403,
    'This agent or task is suspended',
    'no',
    'Stop, and report it: a person has to lift the suspension. Do not look for another way.',
  ),

  // tasks
  task_not_found: refused(
    404,
    'There is no such task of yours',
    'no',
    'Open a task at /countersign/v1/tasks and send its id in Countersign-Task.',
  ),
  task_ended: refused(409, 'The task has ended', 'no', 'Open a new task.'),

  // decide
  denied: refused(
    403,
    'Policy denies this call',
    'no',
    'Do not rephrase it or look for another way. Report it: the platform team can change the rules.',
  ),
  no_matching_rule: refused(
    403,
    'No rule allows this call',
    'no',
    'Do not rephrase it or look for another way. Report it: the platform team can add a rule.',
  ),

  // hold
  arguments_invalid: refused(
    400,
    'The arguments do not fit the tool',
    'no',
    'Correct the arguments as the tool’s input schema says, and call it again.',
  ),
  approval_pending: {
    status: 409,
    title: 'Waiting for a human decision',
    executed: 'no',
    retry: true,
    proxy: 'http_request_denied',
    remedy: 'Send the identical request again later. Do not rephrase it or look for another way.',
  },
  approval_denied: refused(
    403,
    'A reviewer denied this call',
    'no',
    'Do not rephrase it or look for another way; report the denial.',
  ),
  approval_expired: refused(
    403,
    'No approval came in time, or none is left',
    'no',
    'Report it. Do not look for another way.',
  ),
  approval_unused: refused(
    403,
    'The approval expired before it was used',
    'no',
    'Send the identical request again to ask for a new approval.',
  ),
  approval_revoked: refused(403, 'The hold was withdrawn', 'no', 'Report it. Do not look for another way.'),
  approval_invalidated: refused(
    403,
    'The approval is no longer valid',
    'no',
    'Send the request again to ask for a new approval.',
  ),
  already_sent: refused(
    409,
    'This call was sent already',
    'maybe',
    'Do not send it again. A new call needs a new Idempotency-Key.',
  ),
  outcome_unknown: refused(
    409,
    'It is not known whether this call took effect',
    'maybe',
    'Do not send it again. Have a person look at the upstream first.',
  ),
  idempotency_key_reused: refused(
    422,
    'The Idempotency-Key belongs to another request',
    'no',
    'Use a new key for a different request.',
  ),
  too_many_pending: {
    status: 429,
    title: 'Too many calls of this agent wait for approval',
    executed: 'no',
    retry: true,
    proxy: 'http_request_denied',
    remedy: 'Wait until some of them are decided, or cancel one with DELETE on its hold.',
  },
  too_many_calls: {
    status: 429,
    title: 'Too many calls are under way',
    executed: 'no',
    retry: true,
    proxy: 'connection_limit_reached',
    remedy: 'Send the request again later, and make fewer calls at once.',
  },
  too_many_holds: {
    status: 429,
    title: 'This agent asked for too many approvals within an hour',
    executed: 'no',
    retry: true,
    proxy: 'http_request_denied',
    remedy: 'Wait before you ask for another approval. Do not look for another way; the platform team sets the limit.',
  },
  too_many_tasks: {
    status: 429,
    title: 'This agent has too many open tasks',
    executed: 'no',
    retry: true,
    proxy: 'http_request_denied',
    remedy: 'End finished tasks with DELETE, then open the new one.',
  },
  too_much_stored: {
    status: 429,
    title: 'Too much is stored for this agent',
    executed: 'no',
    retry: true,
    proxy: 'http_request_denied',
    remedy:
      'Report it: the platform team sets the limit and how long things are kept. Ended holds and tasks are deleted with time.',
  },
  no_eligible_reviewer: refused(
    403,
    'Nobody could approve this call',
    'no',
    'Report it: the platform team adds reviewers to the tier. Do not rephrase the call or look for another way.',
  ),
  hold_not_found: refused(404, 'There is no such hold of yours', 'unsaid', 'Use the id in the Countersign-Hold field.'),
  hold_closed: refused(
    409,
    'The hold is no longer open',
    'unsaid',
    'Read its state. A call that was sent cannot be taken back here.',
  ),

  // reviewers
  reviewer_unauthenticated: review(
    401,
    'The reviewers’ plane needs a sign-in of its own',
    'Send a bearer token of the reviewers’ issuer and audience. Workload tokens are not accepted.',
  ),
  not_a_reviewer: review(403, 'You are not a reviewer of this hold', 'Ask someone named by its requirements.'),
  separation_of_duties: review(
    403,
    'You may not decide on this call',
    'It is made by you, on your behalf, or by an agent that you own. Someone else has to decide.',
  ),
  stale_digest: review(412, 'The hold is not what you looked at', 'Load it again and decide on what it says now.'),
  already_voted: review(409, 'You have voted on this hold', 'One person has one vote.'),
  reason_required: review(422, 'This tier asks for a reason', 'Send a reason with the vote.'),
  step_up_required: review(401, 'This tier asks for a fresh sign-in', 'Sign in again and vote within five minutes.'),
  bad_vote: review(
    422,
    'The vote is not well-formed',
    'Send {"decision": "approve" or "deny", "bindingDigest": "…", "reason": "…"}.',
  ),

  // journal, arm
  audit_unavailable: fault(
    503,
    'The call cannot be recorded',
    'proxy_internal_error',
    'no',
    'Try again later; the platform team checks the audit disk.',
    true,
  ),
  // What became of a hold stands in the store alone.
  store_unavailable: fault(
    503,
    'The store cannot be used',
    'proxy_internal_error',
    'unsaid',
    'Try again later; the platform team checks the store.',
    true,
  ),
  credential_unavailable: fault(
    502,
    'No credential is available for the upstream',
    'destination_unavailable',
    'no',
    'Report it: the platform team checks the credential’s issuer.',
  ),
  credential_too_broad: fault(
    502,
    'The issuer granted more than was asked for',
    'proxy_configuration_error',
    'no',
    'Report it: the platform team narrows the client’s scopes at the issuer.',
  ),

  // send
  upstream_unreachable: fault(
    502,
    'The upstream cannot be reached',
    'connection_refused',
    'no',
    'Report it: the platform team checks the upstream’s address.',
  ),
  upstream_tls: fault(
    502,
    'The upstream’s certificate is not accepted',
    'tls_certificate_error',
    'no',
    'Report it: the platform team checks the upstream’s certificate and the trusted authorities.',
  ),
  upstream_address_refused: fault(
    502,
    'The upstream’s address is not allowed',
    'destination_ip_prohibited',
    'no',
    'Report it: the platform team checks what the upstream’s name resolves to.',
  ),
  // RFC 9110 section 15.5.2: a request that is answered 401 has not been applied.
  upstream_unauthorized: fault(
    502,
    'The upstream refused the gateway’s credential',
    'http_request_denied',
    'no',
    'Report it: the platform team checks the upstream’s credential. Signing in or sending another token does not help.',
  ),
  upstream_protocol: fault(
    502,
    'The upstream’s answer is not acceptable',
    'http_protocol_error',
    'maybe',
    'Look at what it did before you try again, and report it: the platform team looks at the upstream.',
  ),
  upstream_aborted: fault(
    502,
    'The upstream’s answer broke off',
    'http_response_incomplete',
    'maybe',
    'Look at what it did before you try again.',
  ),
  upstream_timeout: fault(
    504,
    'The upstream did not answer in time',
    'http_response_timeout',
    'maybe',
    'Look at what it did before you try again.',
  ),

  // the process
  draining: fault(
    503,
    'The gateway is shutting down',
    'destination_unavailable',
    'no',
    'Send the request again; another instance, or this one after its restart, will take it.',
    true,
  ),
  internal: fault(
    500,
    'The gateway failed',
    'proxy_internal_error',
    'unsaid',
    'Report it: the platform team finds the request id in the log.',
  ),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

interface Details {
  /** Names the hold that the answer is about: `Countersign-Hold`, and a member of the problem document. */
  readonly holdId?: string;
  /** Of a pending hold, for programs: until when people may decide (RFC 3339), and who is needed. */
  readonly pending?: { readonly deadline: string; readonly needs: string };
  /** Seconds, for `Retry-After`. */
  readonly retryAfter?: number;
  /** The nonce that the next DPoP proof must hold: `DPoP-Nonce` (RFC 9449 section 8). */
  readonly dpopNonce?: string;
  /** The hold has ended, and its call was not sent. */
  readonly ended?: true;
  /** What is known of the call's effect, where more is known than the code tells. */
  readonly executed?: Executed;
  /** Further members of the problem document. Never secrets. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** The fault underneath: logged by name and code, never sent. */
  readonly cause?: unknown;
}

/**
 * A refusal or a fault with a code of the table. `detail` says in one sentence what happened, free of secrets and
 * tokens. It says neither whether anything was executed nor what to do: those have authors of their own, and `tell`
 * (domain/telling.ts) puts the three together.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly details: Details;

  constructor(code: ErrorCode, detail: string, details: Details = {}) {
    super(`${code}: ${detail}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.detail = detail;
    this.details = details;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  /** What is known of the effect of the call that ends with this error. */
  get executed(): Executed {
    return this.details.executed ?? ERRORS[this.code].executed;
  }

  /** The same error with what its catcher knows of the call's effect; whoever said so before knew better. */
  knowing(executed: Executed): GatewayError {
    return this.details.executed === undefined
      ? new GatewayError(this.code, this.detail, { ...this.details, executed })
      : this;
  }
}

/** What anything thrown means to a caller: itself, or an opaque `internal`. */
export function asGatewayError(thrown: unknown): GatewayError {
  return thrown instanceof GatewayError
    ? thrown
    : new GatewayError('internal', 'The gateway failed; nothing more is said here.', { cause: thrown });
}
