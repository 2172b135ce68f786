// A task as the store gives it, for tests that need one without a store.

import type { Task } from '../../src/domain/task.ts';

/** A declared root; the changes may give it a place in a tree. */
export function taskOf(changes: Partial<Task> = {}): Task {
  const id = changes.id ?? 'task_1';
  return {
    ...{ id, revision: 1, root: id, ancestors: [], provenance: 'declared', agentKey: 'p', createdAt: 0 },
    ...{ objective: 'o', plan: [], labels: [], attestations: [] },
    ...changes,
  };
}
