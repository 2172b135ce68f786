// The columns of the error table, and the kinds of rows that many errors share.

/**
 * What is known of the effect of a call that ends with an error: `no`, nothing was executed; `maybe`, the call may have
 * taken effect; `unsaid`, the error alone does not tell, and then nothing is said. Whoever knows more says so in
 * `details.executed`.
 */
export type Executed = 'no' | 'maybe' | 'unsaid';

export interface ErrorSpec {
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
  /** How `violations` count a call that ends so once its caller is known: `deny`, `other` (only `of: any`), or not. */
  readonly violation: 'deny' | 'other' | 'none';
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
export const request = (status: number, title: string, remedy: string): ErrorSpec => ({
  status,
  title,
  executed: 'no',
  retry: false,
  proxy: 'http_request_error',
  remedy,
  violation: 'none',
});
/** What is forbidden counts as a violation; what cannot be done just now does not. */
export const refused = (status: number, title: string, executed: Executed, remedy: string): ErrorSpec => ({
  status,
  title,
  executed,
  retry: false,
  proxy: 'http_request_denied',
  remedy,
  violation: status === 403 ? 'other' : 'none',
});
/** No violation: a hold’s end that is told again, a suspension that is in force, or a task that is missing. */
export const told = (title: string, remedy: string): ErrorSpec => ({
  ...refused(403, title, 'no', remedy),
  violation: 'none',
});
/** Whoever calls is not known or not trusted: nothing was done for them. */
export const token = (title: string, remedy: string): ErrorSpec => refused(401, title, 'no', remedy);
/** What only reviewers get: it says nothing about the call that they look at. */
export const review = (status: number, title: string, remedy: string): ErrorSpec =>
  refused(status, title, 'unsaid', remedy);
export const fault = (
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
  violation: 'none',
});
/** Too much at once: nothing was done, and a later attempt may succeed. */
export const tooMany = (title: string, remedy: string, proxy: ProxyErrorType = 'http_request_denied'): ErrorSpec => ({
  status: 429,
  title,
  executed: 'no',
  retry: true,
  proxy,
  remedy,
  violation: 'none',
});
