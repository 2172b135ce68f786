// Rows of the error table: records, credentials, upstreams, and the process itself.

import { type ErrorSpec, fault } from './kinds.ts';

export const SENDING = {
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
