// The session that a call was made in: that of MCP, else that of the caller's token. A tier can bind its approvals to it
// (`bindSession`). An MCP session is as well known as its server checks it; a token's session is the issuer's word.

import type { Action } from './action.ts';
import type { Requirement } from './decision.ts';
import type { HeaderList } from './headers.ts';
import { sessionOf } from './mcp-session.ts';
import type { Principal } from './principal.ts';

export interface CallSession {
  readonly by: 'mcp' | 'token';
  readonly id: string;
}

/** `headers` are those of the message that came, not those of a held call that it comes back for. */
export function callSession(
  { protocol, mcp }: Pick<Action, 'protocol' | 'mcp'>,
  headers: HeaderList,
  { session }: Pick<Principal, 'session'>,
): CallSession | undefined {
  // Since 2026-07-28 MCP has no sessions, and no server checks the field.
  const id = protocol === 'mcp' && mcp?.stateless !== true ? sessionOf(headers) : '';
  if (id !== '') return { by: 'mcp', id };
  return session === undefined ? undefined : { by: 'token', id: session };
}

/** Whether the approval can be used in its own session alone. */
export const isBoundToSession = (requirements: readonly Requirement[]): boolean =>
  requirements.some(({ bindSession }) => bindSession === true);

/** Whether a call of this session may use the hold. */
export function mayUse(
  hold: { readonly requirements: readonly Requirement[]; readonly session?: CallSession },
  session: CallSession | undefined,
): boolean {
  if (!isBoundToSession(hold.requirements)) return true;
  return session !== undefined && hold.session?.by === session.by && hold.session.id === session.id;
}
