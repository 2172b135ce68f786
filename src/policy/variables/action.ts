// `action`: what the call is by the configuration, before any rule decides.

import { type ConditionCall, viewVariable } from './variable.ts';

class ActionView {
  readonly #call: ConditionCall;
  constructor(call: ConditionCall) {
    this.#call = call;
  }
  get #classification() {
    return this.#call.input.facts?.classification;
  }
  get data() {
    const label = this.#classification?.data;
    return label === undefined ? undefined : this.#call.vocabulary.label(label);
  }
  get reversible() {
    return this.#classification?.reversible;
  }
  get operation() {
    return this.#classification?.operation;
  }
  get environment() {
    return this.#classification?.environment;
  }
  get owners() {
    const owners = this.#classification?.owners;
    return owners && [...new Set(owners.flat())];
  }
}

export const action = viewVariable({
  name: 'action',
  type: 'Action',
  meaning: 'what the call is, by the configuration',
  view: ActionView,
  members: {
    data: {
      type: 'Label',
      meaning: 'how sensitive it is: a label of `sensitivity`; absent where nothing classifies it',
    },
    reversible: { type: 'bool', meaning: 'whether the effect can be undone; absent where nothing says so' },
    operation: {
      type: 'string',
      meaning: 'the kind of operation: read, write, delete, export, transfer, deploy, privilege, secret or execute',
    },
    environment: { type: 'string', meaning: 'the environment that it touches; absent where nothing names one' },
    owners: { type: 'list<string>', meaning: 'who answers for what it touches: `group:<name>` or `user:<subject>`' },
  },
});
