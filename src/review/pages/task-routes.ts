// The page of a task: the tree that it belongs to, and what all its agents have done.

import type { Hono } from 'hono';
import { loadTaskTree } from '../task-tree.ts';
import { type ConsoleEnv, type ConsoleParts, page } from './console-parts.ts';
import { renderTaskTree } from './task-page.ts';

export function mountTasks(app: Hono<ConsoleEnv>, parts: ConsoleParts): void {
  const { holds, eligibility, operations } = parts;
  app.get('/tasks/:id', async (context) => {
    const { session } = context.var;
    const of = { holds, eligibility, tasks: operations.tasks };
    const tree = await loadTaskTree(of, session.reviewer, session.powers, context.req.param('id'));
    return page(context, renderTaskTree(tree, session, holds.now()));
  });
}
