// Sealed prompts of tasks, and the salts of the keys that open them. Both go with their tasks (sqlite-task-rows.ts).

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

export interface PromptRows {
  saltOf(root: string): string;
  put(taskId: string, sealed: string): void;
  find(taskId: string): { readonly sealed: string; readonly salt: string } | undefined;
}

export function createPromptRows(db: DatabaseSync): PromptRows {
  const makeSalt = db.prepare('INSERT INTO task_key (task_id, salt) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const salt = db.prepare('SELECT salt FROM task_key WHERE task_id = ?');
  const put = db.prepare(
    'INSERT INTO task_prompt (task_id, sealed) VALUES (?, ?) ON CONFLICT DO UPDATE SET sealed = excluded.sealed',
  );
  const find = db.prepare(
    `SELECT sealed, salt FROM task_prompt JOIN task ON task.id = task_prompt.task_id
     JOIN task_key ON task_key.task_id = task.root WHERE task_prompt.task_id = ?`,
  );
  return {
    saltOf(root) {
      makeSalt.run(root, randomBytes(32).toString('base64url'));
      return String(salt.get(root)?.salt);
    },
    put: (taskId, sealed) => void put.run(taskId, sealed),
    find(taskId) {
      const row = find.get(taskId);
      return row && { sealed: String(row.sealed), salt: String(row.salt) };
    },
  };
}
