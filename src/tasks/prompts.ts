// The prompts that agents send with their tasks: words, kept sealed under a key for each root, so that they are gone when
// the root is. Trusts the sealer. What cannot be opened any more is not there.

import { sha256 } from '../domain/canonical.ts';
import { Secret } from '../domain/secret.ts';
import type { Task, TaskStore } from '../domain/task.ts';

/** Authenticated encryption bound to an id, under a key that is made of a salt; from credentials/seal.ts. */
export interface PromptSealer {
  under(salt: string): {
    seal(id: string, secret: Secret): string;
    /** Throws for anything but what `seal` made for this id. */
    open(id: string, sealed: string): Secret;
  };
}

type PromptStore = Pick<TaskStore, 'saltOf' | 'putPrompt' | 'prompt'>;

/** Keeps the prompt of a task. Gives its digest, for the record. */
export async function keepPrompt(seal: PromptSealer, tasks: PromptStore, task: Task, prompt: string): Promise<string> {
  const salt = await tasks.saltOf(task.root);
  await tasks.putPrompt(task.id, seal.under(salt).seal(boundTo(task.id), new Secret(prompt)));
  return sha256(prompt);
}

/** The prompt of a task, or of the nearest one above it that has one. */
export async function readPrompt(
  seal: PromptSealer,
  tasks: PromptStore,
  { id, ancestors = [] }: Pick<Task, 'id'> & Partial<Pick<Task, 'ancestors'>>,
): Promise<string | undefined> {
  for (const at of [id, ...ancestors.toReversed()]) {
    const found = await tasks.prompt(at);
    if (found !== undefined) return open(seal.under(found.salt), at, found.sealed);
  }
  return undefined;
}

/** A prompt that was sealed under another key is lost, and no reason to show less of the hold. */
function open(sealer: ReturnType<PromptSealer['under']>, id: string, sealed: string): string | undefined {
  try {
    return sealer.open(boundTo(id), sealed).reveal();
  } catch {
    return undefined;
  }
}

const boundTo = (id: string): string => `task-prompt ${id}`;
