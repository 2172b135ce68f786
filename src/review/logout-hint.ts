// Keeps the ID token of a session for signing out: as `id_token_hint` it lets the issuer sign the person out without
// asking who they are (RP-Initiated Logout 1.0 section 2). It is a sealed cookie that browsers send only to the
// sign-out, so the server keeps nothing. Trusts only tokens that it sealed for the same person. A token too large for a
// cookie is not kept: the issuer then asks.

import type { Reviewer } from '../domain/reviewer.ts';
import { LARGEST_COOKIE, readCookie, type Seal } from './session.ts';

export interface LogoutHint {
  /** The Set-Cookie value that keeps the token; undefined for a token that is too large. */
  keep(reviewer: Reviewer, idToken: string): string | undefined;
  read(cookie: string | undefined, reviewer: Reviewer): string | undefined;
  /** The Set-Cookie value that removes the token. */
  readonly drop: string;
}

export function createLogoutHint({
  seal,
  origin,
  lifeMs,
}: {
  readonly seal: Seal;
  readonly origin: string;
  readonly lifeMs: number;
}): LogoutHint {
  const secure = origin.startsWith('https:');
  const name = secure ? '__Secure-countersign-id' : 'countersign-insecure-id';
  const purposeOf = ({ id }: Reviewer): string => `logout-hint ${id}`;
  const cookie = (value: string, ageMs: number): string => {
    const maxAge = `Max-Age=${Math.floor(ageMs / 1000)}`;
    return `${name}=${value}; Path=/sign-out; HttpOnly; SameSite=Lax; ${maxAge}${secure ? '; Secure' : ''}`;
  };
  return {
    keep(reviewer, idToken) {
      const written = cookie(seal.seal(purposeOf(reviewer), idToken), lifeMs);
      return written.length > LARGEST_COOKIE ? undefined : written;
    },
    read(header, reviewer) {
      const sealed = readCookie(header, name);
      return sealed === undefined ? undefined : seal.open(purposeOf(reviewer), sealed);
    },
    drop: cookie('', 0),
  };
}
