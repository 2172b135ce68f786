// SPIFFE IDs (SPIFFE-ID section 2), read by one pattern of our own. `URL` is never used: it normalises case, dots,
// escapes and ports, and so would let two spellings name one workload.

const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const MAX_LENGTH = 2048;

/** A workload's SPIFFE ID: always with a path. */
export interface SpiffeId {
  /** The whole ID, exactly as given. */
  readonly id: string;
  readonly trustDomain: string;
  /** With its leading slash. */
  readonly path: string;
}

/** The parts of a workload's SPIFFE ID, or undefined for anything else, the bare `spiffe://<trust domain>` included. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  // The pattern admits ASCII only, so characters are bytes.
  if (text.length > MAX_LENGTH) return undefined;
  const [, trustDomain, path] = SPIFFE_ID.exec(text) ?? [];
  if (trustDomain === undefined || path === undefined) return undefined;
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) return undefined;
  return { id: text, trustDomain, path };
}

/** Whether a text is the name of a trust domain, without scheme. */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

/** Whether a subject claims to be a SPIFFE ID at all, well-formed or not, in any case. */
export function looksLikeSpiffeId(subject: string): boolean {
  return /^\s*spiffe:/i.test(subject);
}
