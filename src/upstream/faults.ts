// What faults of sockets, TLS and undici mean to a caller, told by their codes and by how far the call had got, never
// by message text. settle relies on one promise: `executed` is `no` when not one byte of the call was sent, otherwise
// `maybe`.

import { GatewayError } from '../errors.ts';

/**
 * How far a call had got: waiting for a connection; handed to the connection; the answer's first byte seen;
 * its head accepted; its head passed on to the agent.
 */
export type Progress = 'waiting' | 'sent' | 'answering' | 'collecting' | 'streaming';

const TLS_CODES: ReadonlySet<string> = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CRL_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
  'CRL_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'EPROTO',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/**
 * The error for the caller, with what is known of the effect of the call: while it waited for a connection nothing was
 * sent, and after that nobody knows. Errors of the gateway itself (a refused address, an agent that went away) keep
 * their code.
 */
export function upstreamFault(thrown: unknown, progress: Progress): GatewayError {
  return faultOf(thrown, progress).knowing(progress === 'waiting' ? 'no' : 'maybe');
}

function faultOf(thrown: unknown, progress: Progress): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const code = codeOf(thrown);
  const fault = (name: GatewayError['code'], detail: string) => new GatewayError(name, detail, { cause: thrown });

  if (
    code === 'UND_ERR_INVALID_ARG' ||
    code === 'UND_ERR_NOT_SUPPORTED' ||
    code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'
  ) {
    return fault('bad_request', 'The request cannot be written as one HTTP/1.1 message.');
  }
  if (progress === 'waiting') {
    if (isTlsCode(code)) return fault('upstream_tls', 'The TLS handshake with the upstream failed.');
    return fault('upstream_unreachable', 'No connection to the upstream could be made.');
  }
  if (progress === 'streaming') return fault('upstream_aborted', 'The upstream’s answer broke off half-way.');
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return fault('upstream_timeout', 'The upstream did not answer in time.');
  }
  const brokeOff = code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' || code === 'HPE_INVALID_EOF_STATE';
  if (progress === 'answering' || code === 'UND_ERR_HEADERS_OVERFLOW' || (code.startsWith('HPE_') && !brokeOff)) {
    return fault('upstream_protocol', 'The upstream’s answer is not one well-formed HTTP/1.1 response.');
  }
  return fault('upstream_aborted', 'The upstream’s answer did not come, or broke off.');
}

function isTlsCode(code: string): boolean {
  return TLS_CODES.has(code) || code.startsWith('ERR_TLS_') || code.startsWith('ERR_SSL_');
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
}
