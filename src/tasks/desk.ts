// Opens, names, changes and ends tasks over the store, and puts each of these on record. Trusts the principal, which was
// verified. Refuses a task in which the caller has no part as if it did not exist.

import { isDeepStrictEqual } from 'node:util';
import type { Action } from '../domain/action.ts';
import type { AgentLimits } from '../domain/agent-limits.ts';
import type { AuditLog } from '../domain/audit.ts';
import { canonicalDigest } from '../domain/canonical.ts';
import type { Clock, EpochMs } from '../domain/clock.ts';
import { header } from '../domain/headers.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { isLifecycle } from '../domain/mcp-lifecycle.ts';
import type { Principal } from '../domain/principal.ts';
import { readUpstreamName } from '../domain/server-names.ts';
import type { Recognised } from '../domain/stages.ts';
import {
  findTask,
  type NewTaskWords,
  refuseEnded,
  type Task,
  type TaskStore,
  takesPart,
  vouchedFor,
} from '../domain/task.ts';
import type { McpSession, Opening, TaskDesk } from '../domain/task-desk.ts';
import type { TaskToken } from '../domain/task-token.ts';
import { GatewayError } from '../errors.ts';
import { ATTESTED_TASK, INVITATION, NEW_TASK, REVISION, read } from './forms.ts';
import { keepPrompt, type PromptSealer } from './prompts.ts';

export interface DeskParts {
  readonly tasks: TaskStore;
  limits(): AgentLimits;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly seal: PromptSealer;
  /** The key of the agent of an id, as far as the id alone says. */
  agentKeyOf(id: string): string | undefined;
  /** Cuts the streams of tasks that have ended, and takes back what was minted for them. */
  stop(taskIds: readonly string[]): Promise<boolean>;
}

export class Desk implements TaskDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  async open(caller: Principal, said: Json, { token, session }: Opening = {}): Promise<Task> {
    const { tasks, limits } = this.#parts;
    const { parent, prompt, ...words } = token === undefined ? read(NEW_TASK, said) : attestedWords(token, said);
    this.#refusePast(words.endsBy);
    const above = parent === undefined ? undefined : await findTask(tasks, parent, caller);
    const task =
      token === undefined
        ? await tasks.open(caller.agentKey, words, limits(), above)
        : await this.#attested(caller, token, words, above);
    if (session !== undefined) await tasks.bind(mcpKey(caller, session), task.id);
    const kept = await this.#keepPrompt(task, prompt);
    if (token === undefined || kept !== undefined) await this.#record('opened', caller, task, kept);
    return task;
  }

  async revise(caller: Principal, id: string, said: Json): Promise<Task> {
    const { prompt, ...words } = read(REVISION, said);
    this.#refusePast(words.endsBy);
    const task = await this.#parts.tasks.revise(id, caller.agentKey, words);
    await this.#record('revised', caller, task, await this.#keepPrompt(task, prompt));
    return task;
  }

  async invite(caller: Principal, id: string, said: Json): Promise<string> {
    const guest = read(INVITATION, said).principal;
    // An agent whose ids change with its pods is invited as the agent.
    const key = this.#parts.agentKeyOf(guest) ?? guest;
    const task = await this.#parts.tasks.invite(id, caller.agentKey, key);
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
    const { call, request, principal, mount } = recognised;
    const token = call.runtime.identity.taskToken(request.headers);
    if (token !== undefined) return token.then((verified) => this.#attested(principal, verified));
    const named = header(request.headers, 'countersign-task') ?? action.mcp?.namedTask;
    if (named !== undefined) return findTask(this.#parts.tasks, named, principal);
    if (!mount.tasks.sessions || isLifecycle(action)) return undefined;
    const session = sessionKey(recognised);
    return session === undefined ? undefined : this.#ofSession(recognised, session);
  }

  /**
   * The task that the token attests. The token counts for whom it names, and for who takes part in its task already.
   * Throws `task_token_invalid`.
   */
  async #attested(
    caller: Principal,
    token: TaskToken,
    said: NewTaskWords = attestedWords(token, {}),
    above?: Task,
  ): Promise<Task> {
    const { tasks, limits } = this.#parts;
    const known = await tasks.attested(token);
    if (!isHolder(token, caller) && !(known !== undefined && (await takesPart(tasks, known, caller))))
      throw new GatewayError('task_token_invalid', 'The task token was made for somebody else.');
    const { task, isNew } =
      known !== undefined && isCurrent(known, token)
        ? { task: known, isNew: false }
        : await tasks.openAttested(caller.agentKey, said, limits(), token, above);
    if (isNew) await this.#record('opened', caller, task, { issuer: token.issuer, txn: token.txn });
    refuseEnded(task);
    // What the token says now bounds this call, too.
    const { issuer, txn, actsFor, bounds } = token;
    const now = { task: task.id, issuer, txn, actsFor, bounds, validUntil: token.expiresAt };
    return isDeepStrictEqual(ownOf(task)?.bounds, bounds)
      ? task
      : { ...task, attestations: [...task.attestations, now] };
  }

  async #keepPrompt(task: Task, prompt: string | undefined): Promise<JsonObject | undefined> {
    if (prompt === undefined) return undefined;
    return { promptDigest: await keepPrompt(this.#parts.seal, this.#parts.tasks, task, prompt) };
  }

  #refusePast(endsBy: EpochMs | undefined): void {
    if (endsBy === undefined || this.#parts.clock.now() < endsBy) return;
    throw new GatewayError('bad_request', 'The time in endsBy is over.');
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

function attestedWords(
  token: TaskToken,
  said: Json,
): NewTaskWords & { readonly parent?: string; readonly prompt?: string } {
  const { objective = `Transaction ${token.txn}`, ...words } = read(ATTESTED_TASK, said);
  return { ...words, objective: token.objective ?? objective };
}

const ownOf = ({ id, attestations }: Task) => attestations.find(({ task }) => task === id);

/** Nothing has to be written for the token. */
function isCurrent(task: Task, { expiresAt }: TaskToken): boolean {
  const own = ownOf(task);
  return own !== undefined && (own.bounds.until !== undefined || own.validUntil >= expiresAt);
}

/** Whether the token names the caller, a key that the caller has proven, or whom the caller acts for. */
function isHolder({ holders, thumbprint }: TaskToken, caller: Principal): boolean {
  const ids = [caller.id, caller.spiffeId, ...vouchedFor(caller)];
  return (
    (thumbprint !== undefined && thumbprint === caller.keyThumbprint) ||
    ids.some((id) => id !== undefined && holders.includes(id))
  );
}

/** One text for each session of each agent: the session of another agent leads to no task, whoever learns its id. */
function sessionKey({ request, principal, mount }: Recognised): string | undefined {
  const id = mount.protocol === 'mcp' ? header(request.headers, 'mcp-session-id') : undefined;
  if (id !== undefined) return mcpKey(principal, { mount: mount.name, id });
  const { session, issuer } = principal;
  return session === undefined ? undefined : keyOf(principal, { issuer, session });
}

/** Servers that share a mount share its sessions. */
const mcpKey = (caller: Principal, { mount, id }: McpSession): string =>
  keyOf(caller, { mount: readUpstreamName(mount).mount, session: id });

const keyOf = ({ agentKey }: Principal, session: JsonObject): string =>
  canonicalDigest('countersign/task-session/v1', { agent: agentKey, ...session });
