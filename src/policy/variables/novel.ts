// `novel`: whether the agent does something for the first time. The gateway has recorded what was answered before.

import { type ConditionCall, viewVariable } from './variable.ts';

class NovelView {
  readonly #novel;
  constructor({ input }: ConditionCall) {
    this.#novel = input.facts?.novel;
  }
  get operation() {
    return this.#novel?.operation;
  }
  get destination() {
    return this.#novel?.destination;
  }
  get agent() {
    return this.#novel?.agent;
  }
}

export const novel = viewVariable({
  name: 'novel',
  type: 'Novel',
  meaning: 'what the agent does for the first time',
  view: NovelView,
  members: {
    operation: {
      type: 'bool',
      meaning:
        'no call of this agent with the same resource (without one: tool, or method and path pattern) was answered below 400',
      reads: 'novel',
    },
    destination: {
      type: 'bool',
      meaning: 'no such call to every target of this one was answered below 400',
      reads: 'novel',
    },
    agent: { type: 'bool', meaning: 'no call of this agent at all was answered below 400', reads: 'novel' },
  },
});
