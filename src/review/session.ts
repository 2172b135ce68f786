// Sessions of the console: a sealed cookie with a short idle time and an absolute end. The server keeps only the list
// of sessions that were signed out, which outlives the process. Trusts only cookies that it sealed itself. Refuses
// forms of other origins and forms without the session's own token (CSRF).

import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { EpochMs } from '../domain/clock.ts';
import { type OnceStore, useOnce } from '../domain/once.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { GatewayError } from '../errors.ts';

/** Authenticated encryption under a key that only this gateway has; `purpose` is bound to the text. */
export interface Seal {
  seal(purpose: string, text: string): string;
  /** Undefined for a text that was not sealed here for this purpose. */
  open(purpose: string, sealed: string): string | undefined;
}

export interface Session {
  readonly id: string;
  readonly reviewer: Reviewer;
  /** Sent with every form. */
  readonly csrf: string;
  readonly signedInAt: EpochMs;
  /** When it was used last, to the minute. */
  readonly seenAt: EpochMs;
}

export interface SessionOptions {
  readonly seal: Seal;
  readonly once: OnceStore;
  /** The reviewers' origin, as browsers name it. */
  readonly origin: string;
  /** `reviewers.login.personClaim`: a session that began under another one ends. */
  readonly personClaim?: string | undefined;
  /** How long a session lasts unused, ms. */
  readonly idleMs: number;
  /** How long it lasts at most, ms. */
  readonly lifeMs: number;
  now(): EpochMs;
}

export interface Sessions {
  /** The Set-Cookie value of a new session. Throws `reviewer_unauthenticated` for a person with too many groups. */
  start(reviewer: Reviewer): string;
  /** The session of a request's Cookie field; undefined without a valid one. Throws `store_unavailable`. */
  read(cookie: string | undefined): Promise<Session | undefined>;
  /** A Set-Cookie value that keeps the session alive, when it was last kept alive a while ago. */
  renew(session: Session): string | undefined;
  /**
   * Ends the session durably, so that copies of its cookie are worthless too. Returns the Set-Cookie value that removes
   * the cookie. Throws `store_unavailable`.
   */
  end(session: Session | undefined): Promise<string>;
  endsAt(session: Session): EpochMs;
  /** Throws `bad_request` for a form of another origin, and for a form without the session's token. */
  checkForm(
    request: { readonly origin: string | undefined; readonly csrf: string | undefined },
    session: Session,
  ): void;
  /** A sign-in in progress has a short-lived cookie of its own. */
  startTransaction(text: string): string;
  readTransaction(cookie: string | undefined): string | undefined;
  readonly endTransaction: string;
}

const RENEW_AFTER_MS = 60_000;
/** Characters: browsers drop a larger one without a word (RFC 6265 section 6.1). */
export const LARGEST_COOKIE = 4096;
const TRANSACTION_MS = 10 * 60_000;

export function createSessions(options: SessionOptions): Sessions {
  const { seal, once, origin, personClaim, idleMs, lifeMs, now } = options;
  const secure = origin.startsWith('https:');
  // Browsers accept `__Host-` only with Secure (RFC 6265bis section 4.1.3). On plain-http loopback the name says that
  // the cookie is insecure.
  const name = secure ? '__Host-countersign-session' : 'countersign-insecure-session';
  const transactionName = secure ? '__Host-countersign-sign-in' : 'countersign-insecure-sign-in';

  const purpose = personClaim === undefined ? 'session' : `session by ${personClaim}`;

  // Lax, not Strict: the way back from the issuer and a link in a message are navigations from another site. Forms are
  // checked besides.
  const cookie = (key: string, value: string, ageMs: number) =>
    `${key}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${Math.floor(ageMs / 1000)}${secure ? '; Secure' : ''}`;
  const write = (session: Session) => cookie(name, seal.seal(purpose, JSON.stringify(session)), idleMs);
  const endsAt = (session: Session) => Math.min(session.seenAt + idleMs, session.signedInAt + lifeMs);

  return {
    start(reviewer) {
      const at = now();
      const written = write({ id: randomToken(), reviewer, csrf: randomToken(), signedInAt: at, seenAt: at });
      // The browser would drop the cookie, and the sign-in would start again and again.
      if (written.length > LARGEST_COOKIE) {
        throw new GatewayError(
          'reviewer_unauthenticated',
          `Your sign-in names ${reviewer.groups.length} groups, too many for a session: have the issuer narrow them.`,
          { members: { check: 'groups' } },
        );
      }
      return written;
    },
    async read(header) {
      const text = readCookie(header, name);
      const opened = text === undefined ? undefined : seal.open(purpose, text);
      if (opened === undefined) return undefined;
      const session = JSON.parse(opened) as Session;
      return now() >= endsAt(session) || (await once.wasUsed('desk-session', session.id)) ? undefined : session;
    },
    renew(session) {
      return now() - session.seenAt < RENEW_AFTER_MS ? undefined : write({ ...session, seenAt: now() });
    },
    async end(session) {
      if (session !== undefined) await useOnce(once, 'desk-session', session.id, session.signedInAt + lifeMs);
      return cookie(name, '', 0);
    },
    endsAt,
    checkForm(request, session) {
      const sameText = request.csrf !== undefined && equal(request.csrf, session.csrf);
      if (request.origin !== origin || !sameText) {
        throw new GatewayError(
          'bad_request',
          'The form did not come from a page of this console, or from an earlier sign-in. Load the page again.',
        );
      }
    },
    startTransaction: (text) =>
      cookie(
        transactionName,
        seal.seal('sign-in', JSON.stringify({ text, until: now() + TRANSACTION_MS })),
        TRANSACTION_MS,
      ),
    readTransaction(header) {
      const text = readCookie(header, transactionName);
      const opened = text === undefined ? undefined : seal.open('sign-in', text);
      if (opened === undefined) return undefined;
      const transaction = JSON.parse(opened) as { text: string; until: EpochMs };
      return now() < transaction.until ? transaction.text : undefined;
    },
    endTransaction: cookie(transactionName, '', 0),
  };
}

export const randomToken = (): string => randomBytes(16).toString('base64url');

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The value of a cookie; undefined when there is none, or more than one. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  const found = (header ?? '').split(';').flatMap((pair) => {
    const [key, value] = pair.trim().split('=', 2);
    return key === name && value ? [value] : [];
  });
  // Two cookies of one name: one of them was planted by another site, and nobody can tell which.
  return found.length === 1 ? found[0] : undefined;
}
