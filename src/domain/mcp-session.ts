// The MCP session that a call came in, as far as approvals are concerned: it says where an answer goes, never what is
// done. Clients that open a session for each call come back for their approval in another one, so an approval binds no
// session, and the call goes out in its own. Holds from before that rule have the session among their fields, and stay
// bound to it.

import type { Action } from './action.ts';
import { type HeaderList, header, withoutField } from './headers.ts';
import type { HeldAction } from './hold.ts';

const FIELD = 'mcp-session-id';

/** The session that a message belongs to; empty where the server gives none. */
export const sessionOf = (headers: HeaderList): string => header(headers, FIELD) ?? '';

/** The fields of a call that an approval binds. */
export function approvedFields({ protocol, boundHeaders }: Pick<Action, 'protocol' | 'boundHeaders'>): HeaderList {
  // Outside MCP the field has no meaning that is known here, and what is sent is what was approved.
  if (protocol !== 'mcp' || header(boundHeaders, FIELD) === undefined) return boundHeaders;
  return withoutField(boundHeaders, FIELD);
}

/** Whether these fields name a session that `approvedFields` leaves out. */
export function bindsSession(action: Pick<Action, 'protocol' | 'boundHeaders'>): boolean {
  return approvedFields(action) !== action.boundHeaders;
}

/**
 * The fields of a held call, to go out in the session of the message that comes for it, or in its own where that names
 * none or it is bound to it.
 */
export function inSessionOf(
  { boundHeaders, session: own }: Pick<HeldAction, 'boundHeaders' | 'session'>,
  message: HeaderList,
): HeaderList {
  const session = header(message, FIELD) ?? own;
  return session === undefined || header(boundHeaders, FIELD) !== undefined
    ? boundHeaders
    : [...boundHeaders, FIELD, session];
}
