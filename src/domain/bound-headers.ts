// Which of the fields that an action binds make it the action that it is. Clients of MCP that open a session for each call come back for an approval
// in another session: the session says by which conversation a call came, not what it does. The caller, its key and its task are bound beside.

import type { Action } from './action.ts';
import { type HeaderList, withoutField } from './headers.ts';

/** The bound fields by which two actions are the same or not. */
export function headersThatCount({ protocol, boundHeaders }: Pick<Action, 'protocol' | 'boundHeaders'>): HeaderList {
  return protocol === 'mcp' ? withoutField(boundHeaders, 'mcp-session-id') : boundHeaders;
}
