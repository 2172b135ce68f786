// `tainted` and `taintedBy`: which kinds of data have been handed out to whom the call is for. The gateway has set the
// marks; nothing here is the agent's word.

import { type Mark, type MarkScope, taintsOf } from '../../domain/taint.ts';
import { type ConditionCall, type ValueVariable, viewVariable } from './variable.ts';

const marksOf = ({ input: { facts } }: ConditionCall): readonly Mark[] | undefined => facts?.tainted;

export const tainted: ValueVariable = {
  name: 'tainted',
  type: 'list<string>',
  meaning: 'the marks in force on the caller, on anybody in its chain, or on the root of its task',
  reads: 'tainted',
  value(call) {
    const marks = marksOf(call);
    return marks && taintsOf(marks);
  },
};

class TaintedByView {
  readonly #marks: readonly Mark[] | undefined;
  constructor(call: ConditionCall) {
    this.#marks = marksOf(call);
  }
  get agent() {
    return this.#of('agent');
  }
  get person() {
    return this.#of('person');
  }
  get task() {
    return this.#of('root');
  }
  #of(scope: MarkScope) {
    return this.#marks && taintsOf(this.#marks.filter((mark) => mark.scope === scope));
  }
}

export const taintedBy = viewVariable({
  name: 'taintedBy',
  type: 'TaintedBy',
  meaning: 'the same marks, by what they stand on',
  view: TaintedByView,
  members: {
    agent: { type: 'list<string>', meaning: 'marks on the agent, or on an agent in its chain', reads: 'tainted' },
    person: { type: 'list<string>', meaning: 'marks on a person in the chain', reads: 'tainted' },
    task: { type: 'list<string>', meaning: 'marks on the root of the task', reads: 'tainted' },
  },
});
