// What may happen once: a proof, a state, a challenge, the end of a session. The port keeps it durably, so that a
// restart or a kill -9 makes nothing good again that was used.

import { GatewayError } from '../errors.ts';
import type { EpochMs } from './clock.ts';

export type OnceKind =
  /** A DPoP proof, by the thumbprint of its key and its jti. */
  | 'dpop-proof'
  /** An MCP requestState that was answered with. */
  | 'request-state'
  /** A shared mount's session that was ended. */
  | 'mcp-session'
  /** A session at the reviewers' console that was signed out. */
  | 'desk-session'
  /** The state of a sign-in at the console that came back. */
  | 'sign-in'
  /** A WebAuthn challenge that was answered. */
  | 'passkey-challenge';

export interface OnceStore {
  /**
   * Uses it up. `new` for the first caller alone, and then it is durable, so the caller may let the effect follow. It
   * is remembered until `until`, when it would be refused for its age. `full`: nothing more of this kind can be
   * remembered. Throws `store_unavailable`.
   */
  use(kind: OnceKind, id: string, until: EpochMs): Promise<'new' | 'seen' | 'full'>;
  /** Whether it was used. Throws `store_unavailable`. */
  wasUsed(kind: OnceKind, id: string): Promise<boolean>;
}

/**
 * True for the first use. Throws `store_unavailable`, also when no more can be remembered: then nothing is done that
 * could be done twice.
 */
export async function useOnce(once: OnceStore, kind: OnceKind, id: string, until: EpochMs): Promise<boolean> {
  const verdict = await once.use(kind, id, until);
  if (verdict === 'full')
    throw new GatewayError('store_unavailable', 'More single uses are remembered than there is room for.');
  return verdict === 'new';
}
