// A CredentialLedger in memory: what a process that "died" left is what the next broker over the same ledger finds.
// `broken` makes every write fail, as a full disk would.

import type { CredentialLedger, OutstandingCredential } from '../../src/domain/credential.ts';
import { GatewayError } from '../../src/errors.ts';

export interface MemoryLedger extends CredentialLedger {
  broken: boolean;
  readonly entries: ReadonlyMap<string, OutstandingCredential>;
}

export function createMemoryLedger(): MemoryLedger {
  const entries = new Map<string, OutstandingCredential>();
  const ledger: MemoryLedger = {
    broken: false,
    entries,
    async intend(entry) {
      work();
      entries.set(entry.id, structuredClone(entry));
    },
    async settle(id) {
      work();
      entries.delete(id);
    },
    async failed(id) {
      work();
      const entry = entries.get(id);
      if (entry !== undefined) entries.set(id, { ...entry, attempts: entry.attempts + 1 });
    },
    async outstanding() {
      work();
      return [...entries.values()];
    },
  };
  function work(): void {
    if (ledger.broken) throw new GatewayError('store_unavailable', 'The ledger was broken by the test.');
  }
  return ledger;
}
