// Opens, names, changes and ends tasks over the store, and puts each of these on record. Trusts the principal, which was
// verified. Refuses a task in which the caller has no part as if it did not exist.

import type { Action } from '../domain/action.ts';
import type { AgentLimits } from '../domain/agent-limits.ts';
import type { AuditLog } from '../domain/audit.ts';
import { canonicalDigest } from '../domain/canonical.ts';
import type { Clock } from '../domain/clock.ts';
import { header } from '../domain/headers.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import type { Principal } from '../domain/principal.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import type { Recognised } from '../domain/stages.ts';
import { findTask, type Task, type TaskStore } from '../domain/task.ts';
import type { McpSession, TaskDesk } from '../domain/task-desk.ts';
import { INVITATION, NEW_TASK, REVISION, read } from './forms.ts';

export interface DeskParts {
  readonly tasks: TaskStore;
  limits(): AgentLimits;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Cuts the streams of tasks that have ended, and takes back what was minted for them. */
  stop(taskIds: readonly string[]): Promise<boolean>;
}

export class Desk implements TaskDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  async open(caller: Principal, said: Json, session?: McpSession): Promise<Task> {
    const { tasks, limits } = this.#parts;
    const { parent, ...words } = read(NEW_TASK, said);
    const above = parent === undefined ? undefined : await findTask(tasks, parent, caller);
    const task = await tasks.open(caller.agentKey, words, limits(), above);
    if (session !== undefined) await tasks.bind(mcpKey(caller, session), task.id);
    await this.#record('opened', caller, task);
    return task;
  }

  async revise(caller: Principal, id: string, said: Json): Promise<Task> {
    const task = await this.#parts.tasks.revise(id, caller.agentKey, read(REVISION, said));
    await this.#record('revised', caller, task);
    return task;
  }

  async invite(caller: Principal, id: string, said: Json): Promise<string> {
    const guest = read(INVITATION, said).principal;
    const task = await this.#parts.tasks.invite(id, caller.agentKey, guest);
    await this.#record('invited', caller, task, { participant: guest });
    return guest;
  }

  async end(caller: Principal, id: string): Promise<Task> {
    const { task, ids } = await this.#parts.tasks.end(id, caller.agentKey);
    await this.#parts.stop(ids);
    await this.#record('ended', caller, task);
    return task;
  }

  of(recognised: Recognised, action: Action): Promise<Task | undefined> | undefined {
    const { request, principal, mount } = recognised;
    const named = header(request.headers, 'countersign-task') ?? action.mcp?.namedTask;
    if (named !== undefined) return findTask(this.#parts.tasks, named, principal);
    if (!mount.tasks.sessions || isLifecycle(action)) return undefined;
    const session = sessionKey(recognised);
    return session === undefined ? undefined : this.#ofSession(recognised, session);
  }

  async #ofSession({ principal, mount }: Recognised, session: string): Promise<Task | undefined> {
    const { tasks, limits } = this.#parts;
    const bound = await tasks.bound(session);
    if (bound !== undefined) return findTask(tasks, bound, principal);
    if (!mount.tasks.auto) return undefined;
    const words = { objective: `A session on ${readUpstreamName(mount.name).mount}`, plan: [], labels: [] };
    const { task, isNew } = await tasks.openForSession(session, principal.agentKey, words, limits());
    if (isNew) await this.#record('opened', principal, task);
    return findTask(tasks, task.id, principal);
  }

  #record(verb: string, caller: Principal, task: Task, more: JsonObject = {}): Promise<unknown> {
    const { audit, clock } = this.#parts;
    const { id, root, revision, provenance } = task;
    const record = { verb, task: id, root, revision, provenance, principal: caller.id, ...more };
    return audit.append('task', clock.now(), record, 'fsync');
  }
}

/** One text for each session of each agent: the session of another agent leads to no task, whoever learns its id. */
function sessionKey({ request, principal, mount }: Recognised): string | undefined {
  const id = mount.protocol === 'mcp' ? header(request.headers, 'mcp-session-id') : undefined;
  if (id !== undefined) return mcpKey(principal, { mount: mount.name, id });
  const { sid } = principal.claims;
  return typeof sid === 'string' && sid !== '' ? keyOf(principal, { issuer: principal.issuer, sid }) : undefined;
}

/** Servers that share a mount share its sessions. */
const mcpKey = (caller: Principal, { mount, id }: McpSession): string =>
  keyOf(caller, { mount: readUpstreamName(mount).mount, session: id });

const keyOf = ({ agentKey }: Principal, session: JsonObject): string =>
  canonicalDigest('countersign/task-session/v1', { agent: agentKey, ...session });
