// `task`: the task under which the agent calls, and what it has done so far. Without a task every member is absent.

import { agentName, readUpstreamName } from '../../domain/server-names.ts';
import { isAttested, type TaskCall } from '../../domain/task.ts';
import { type ConditionCall, viewVariable } from './variable.ts';

class TaskView {
  readonly #input: ConditionCall['input'];
  #calls: readonly unknown[] | undefined;
  constructor({ input }: ConditionCall) {
    this.#input = input;
  }
  get id() {
    return this.#input.task?.id;
  }
  get root() {
    return this.#input.task?.root;
  }
  get depth() {
    return this.#input.task && BigInt(this.#input.task.ancestors.length);
  }
  get endsBy() {
    const endsBy = this.#input.task?.endsBy;
    return endsBy === undefined ? undefined : new Date(endsBy);
  }
  get attested() {
    const { task, now } = this.#input;
    return task === undefined || now === undefined ? undefined : isAttested(task, now);
  }
  get objective() {
    return this.#input.task?.objective;
  }
  get labels() {
    return this.#input.task?.labels;
  }
  get calls() {
    if (this.#input.task === undefined) return undefined;
    this.#calls ??= this.#input.calls?.map(readCall);
    return this.#calls;
  }
}

const readCall = ({ at, upstream, method, path, tool, decision, status }: TaskCall) => ({
  at: new Date(at),
  // As rules name them: the mount, and the tool as agents call it.
  upstream: readUpstreamName(upstream).mount,
  method,
  path,
  tool: tool === undefined ? '' : agentName(upstream, tool),
  decision,
  status: BigInt(status ?? 0),
});

export const task = viewVariable({
  name: 'task',
  type: 'Task',
  meaning: 'the task under which the agent calls',
  view: TaskView,
  members: {
    id: { type: 'string', meaning: 'the id of the task' },
    root: { type: 'string', meaning: 'the id of the task at the top of its tree' },
    depth: { type: 'int', meaning: 'how many tasks are above it; 0 for a root' },
    endsBy: { type: 'google.protobuf.Timestamp', meaning: 'when it is meant to end; absent where it does not say' },
    attested: { type: 'bool', meaning: 'whether a task token vouches for the task itself' },
    objective: { type: 'string', meaning: 'what the agent says it wants to achieve' },
    labels: { type: 'list<string>', meaning: 'the labels of the task' },
    calls: {
      type: 'list<map<string, dyn>>',
      meaning:
        'the latest calls under the root of the task: a list of `{at, upstream, method, path, tool, decision, status}`',
      reads: 'history',
    },
  },
});
