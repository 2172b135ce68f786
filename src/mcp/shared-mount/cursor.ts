// The cursor of a list of several servers: their own cursors, sealed together for one caller, mount and list. Refuses
// any other cursor.

import { canonicalDigest } from '../../domain/canonical.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import { Secret } from '../../domain/secret.ts';
import { GatewayError } from '../../errors.ts';
import type { StateSealer } from '../request-state.ts';

export interface SharedCursors {
  /** Undefined when no server has more. */
  seal(
    principal: Principal,
    mount: string,
    method: string,
    results: ReadonlyMap<string, JsonObject>,
  ): string | undefined;
  /** Each server's own cursor. Throws `bad_rpc`. */
  open(principal: Principal, mount: string, method: string, cursor: string): ReadonlyMap<string, string>;
}

/** What an agent sends back, characters. */
const LONGEST = 64 * 1024;
/** Longest cursor of one server. A list with a longer one ends there, because no agent could send all cursors back. */
const LONGEST_OWN = 1024;

export function createSharedCursors(seal: StateSealer): SharedCursors {
  return {
    seal(principal, mount, method, results) {
      const more = [...results].flatMap(([server, { nextCursor }]) =>
        typeof nextCursor === 'string' && nextCursor !== '' && nextCursor.length <= LONGEST_OWN
          ? [[server, nextCursor]]
          : [],
      );
      return more.length === 0
        ? undefined
        : seal.seal(boundTo(principal, mount, method), new Secret(JSON.stringify(Object.fromEntries(more))));
    },
    open(principal, mount, method, cursor) {
      try {
        if (cursor.length > LONGEST) throw new TypeError('too long');
        const cursors: unknown = JSON.parse(seal.open(boundTo(principal, mount, method), cursor).reveal());
        return new Map(Object.entries(isJsonObject(cursors as JsonObject) ? (cursors as Record<string, string>) : {}));
      } catch (cause) {
        throw new GatewayError(
          'bad_rpc',
          'The cursor was not given for this list to this caller. Begin the list anew, without a cursor.',
          { cause },
        );
      }
    },
  };
}

function boundTo({ id, issuer }: Principal, mount: string, method: string): string {
  return `mcp-cursor ${canonicalDigest('countersign/mcp-cursor/v1', { principal: id, issuer, mount, method })}`;
}
