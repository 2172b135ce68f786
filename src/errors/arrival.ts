// Rows of the error table: what arrives is refused, or its caller is not known.

import { type ErrorSpec, fault, refused, request, token, told } from './kinds.ts';

export const ARRIVAL = {
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
    'Send strict JSON: each key once, whatever its letter case, numbers that survive a round trip, no lone ' +
      'surrogates, bounded depth.',
  ),
  bad_rpc: request(
    400,
    'The JSON-RPC message is not acceptable',
    'Send one JSON-RPC 2.0 message whose Mcp-* fields agree with its body.',
  ),
  header_mismatch: request(
    400,
    'An Mcp-Param field and the arguments disagree',
    'List the tools, and send each argument that is marked with x-mcp-header in its Mcp-Param field, with ' +
      'the same value.',
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
    'Send it without the named fields if it means the same without them. Otherwise ask the platform team to ' +
      'list them under boundHeaders of the upstream.',
  ),
  unsupported_media_type: request(
    415,
    'The body cannot be inspected',
    'Send one Content-Type of application/json in UTF-8 without Content-Encoding. A call that is held may ' +
      'also have other UTF-8 text.',
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
    'Present the SVID with its intermediates; the platform team checks the trust domain’s bundle under ' +
      'identity.issuers.',
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

  person_unknown: refused(
    403,
    'The token does not say which person it speaks of',
    'no',
    'Have the issuer put the claim that personClaim names into the token. email counts only beside ' +
      'email_verified: true.',
  ),
  principal_suspended: told(
    'A suspension stops this call',
    'Stop, and report it: a person can lift the suspension. Do not look for another way.',
  ),
} as const satisfies Record<string, ErrorSpec>;
