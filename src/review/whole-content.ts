// What is shown of a held call besides its record: the stored content, and the prompt of its task, which is kept sealed
// and opened for this alone.

import type { HeldContent, HeldTask, Hold } from '../domain/hold.ts';
import type { HoldStore } from '../domain/hold-store.ts';

export interface WholeContentParts {
  readonly holds: Pick<HoldStore, 'content'>;
  readonly operations: {
    /** The prompt of a task, or of the nearest one above it that has one; undefined when none is kept. */
    promptOf(task: HeldTask): Promise<string | undefined>;
  };
}

/** Undefined when the content is no longer kept. */
export async function wholeContent(
  { holds, operations }: WholeContentParts,
  hold: Hold,
): Promise<HeldContent | undefined> {
  const content = await holds.content(hold.id);
  if (hold.task === undefined || content?.task === undefined) return content;
  const prompt = await operations.promptOf(hold.task);
  return prompt === undefined ? content : { ...content, task: { ...content.task, prompt } };
}
