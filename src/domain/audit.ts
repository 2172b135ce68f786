// The audit log. OTLP is best effort; the audit log is the evidence.

import type { EpochMs } from './clock.ts';
import type { JsonObject } from './json.ts';

export type AuditType =
  | 'decision'
  | 'outcome'
  | 'hold'
  | 'vote'
  | 'task'
  | 'credential'
  | 'suspension'
  | 'declassification'
  | 'violation'
  | 'passkey'
  | 'config'
  | 'start';

/** How long a caller must wait: until the bytes are on disk, or only until they are written. */
export type Durability = 'fsync' | 'soon';

declare const recordText: unique symbol;

/** The text of one JSON object. Many records share parts; the text of a shared part is written once. */
export type RecordText = string & { readonly [recordText]: true };

export interface AuditLog {
  /**
   * Appends one record. Resolves when the promised durability holds. Throws `audit_unavailable`; nothing is ever
   * skipped.
   */
  append(
    type: AuditType,
    time: EpochMs,
    record: JsonObject | RecordText,
    durability: Durability,
  ): Promise<{ readonly seq: number }>;
  close(): Promise<void>;
}
