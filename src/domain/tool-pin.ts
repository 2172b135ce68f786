// What is remembered of an MCP tool's definition, and the port that keeps it. Definitions are a server's words:
// compared and shown, never believed.

import type { JsonObject } from './json.ts';

export interface ToolPin {
  /** The name under `upstreams`. */
  readonly upstream: string;
  readonly tool: string;
  /** The definition as it was first seen, or as a reviewer accepted it. */
  readonly pinned: JsonObject;
  /** The definition as it was last seen, where that is another. */
  readonly now?: JsonObject;
}

export interface ToolPinStore {
  all(): readonly ToolPin[];
  /** Writes or overwrites. Durable when it resolves. Throws `store_unavailable`. */
  keep(pins: readonly ToolPin[]): Promise<void>;
}
