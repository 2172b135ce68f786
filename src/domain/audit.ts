// The record. OTLP is best effort; this is what is believed.

import type { EpochMs } from './clock.ts';
import type { JsonObject } from './json.ts';

export type AuditType = 'decision' | 'outcome' | 'hold' | 'vote' | 'task' | 'credential' | 'suspension' | 'passkey' | 'config' | 'start';

/** How long a caller must wait: until the bytes are on disk, or only until they are written. */
export type Durability = 'fsync' | 'soon';

export interface AuditLog {
  /** Appends one record. Resolves when the promised durability holds. Throws `audit_unavailable`; nothing is ever skipped. */
  append(type: AuditType, time: EpochMs, record: JsonObject, durability: Durability): Promise<{ readonly seq: number }>;
  close(): Promise<void>;
}
