// classify: the action, read as deeply as the rules that could match need it, and the task that the agent names. If the
// message asks for the result of a held call, it is replaced here by that held call.

import type { Action } from '../domain/action.ts';
import { refuseStored } from '../domain/agent-limits.ts';
import { fieldPairs, type HeaderList, keepFields } from '../domain/headers.ts';
import type { SharedMount } from '../domain/mount.ts';
import type { ProtocolHandler, Resumed } from '../domain/protocol-handler.ts';
import type { Classified, Recognised, Resumption } from '../domain/stages.ts';
import { actingUnder, findTask, type Task, type TaskStore } from '../domain/task.ts';
import type { TaskDesk } from '../domain/task-desk.ts';

/** Where tasks are kept, and where they are named. */
export interface Tasks {
  readonly store: Pick<TaskStore, 'get' | 'invited' | 'storedBytes' | 'calls'>;
  readonly desk: Pick<TaskDesk, 'of'>;
}

type ClassifyOutcome = Classified | undefined | Promise<Classified | undefined>;

export function classify(tasks: Tasks, recognised: Recognised): ClassifyOutcome {
  const { mount } = recognised;
  return mount.kind === 'single'
    ? read(tasks, recognised)
    : route(mount, recognised).then((routed) => read(tasks, routed));
}

/**
 * From a mount that several servers share to the server that the request is for. From here on it is that server's call.
 */
async function route(shared: SharedMount, recognised: Recognised): Promise<Recognised> {
  const { call, principal } = recognised;
  const { request, mount: name } = await shared.route(recognised.request, principal);
  const server = name === undefined ? undefined : call.runtime.mounts.get(name);
  return call.reach({ ...recognised, request, mount: server ?? shared });
}

function read(tasks: Tasks, recognised: Recognised): ClassifyOutcome {
  const { call, request, mount } = recognised;
  const { handler } = mount;
  const action = mount.classify(request, call.runtime.policy.bodyNeed(mount.name, request.method, request.path));
  const go = (found: Action): ClassifyOutcome =>
    handler === undefined ? complete(tasks, recognised, found) : withHandler(tasks, handler, recognised, found);
  return action instanceof Promise ? action.then(go) : go(action);
}

function withHandler(
  tasks: Tasks,
  handler: Pick<ProtocolHandler, 'onMessage' | 'enrich'>,
  recognised: Recognised,
  action: Action,
): ClassifyOutcome {
  const { call, principal } = recognised;
  // What the handler refuses is said in the form that the message asks for.
  call.reach({ ...recognised, action });
  const received = handler.onMessage(recognised, action);
  if (received === undefined) return complete(tasks, recognised, handler.enrich(action, principal));
  return received.then((resumed) =>
    resumed === 'answered'
      ? undefined
      : complete(tasks, recognised, handler.enrich(resumed.action, principal), resumed),
  );
}

function complete(
  tasks: Tasks,
  recognised: Recognised,
  action: Action,
  resumed?: Resumed,
): Classified | Promise<Classified> {
  const { call, request } = recognised;
  const classified = call.reach(
    resumed === undefined
      ? { ...recognised, action, calls: [] }
      : { ...recognised, action, calls: [], resumes: resumption(resumed, request.headers) },
  );
  // A resumed call belongs to the task under which it was held, whatever task the message names.
  const naming = resumed === undefined ? tasks.desk.of(recognised, action) : taskOf(tasks, recognised, resumed);
  return naming === undefined ? classified : withTask(tasks, naming, classified);
}

function taskOf({ store }: Tasks, { principal }: Recognised, { hold }: Resumed): Promise<Task> | undefined {
  return hold.task && findTask(store, hold.task.id, principal);
}

async function withTask(
  { store }: Tasks,
  naming: Promise<Task | undefined>,
  classified: Classified,
): Promise<Classified> {
  const { call, principal } = classified;
  const task = await naming;
  if (task === undefined) return classified;
  // The task's calls are kept in the store. If there is no room for this one, rules could not read it later: the call
  // is refused.
  refuseStored(await store.storedBytes(principal.agentKey), call.runtime);
  const caller = actingUnder(principal, task);
  return call.reach({ ...classified, principal: caller, task, calls: store.calls(task.root) });
}

function resumption({ action, hold }: Resumed, headers: HeaderList): Resumption {
  const bound = new Set([...fieldPairs(action.boundHeaders)].map(([name]) => name));
  const others = keepFields(headers, (name) => !bound.has(name));
  return { holdId: hold.id, headers: [...others, ...action.boundHeaders] };
}
