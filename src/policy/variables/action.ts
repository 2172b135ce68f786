// `action`: what the call is by the configuration, before any rule decides.

import type { Destination } from '../../domain/classification.ts';
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
  get #destinations() {
    const { input, vocabulary } = this.#call;
    const found = input.facts === undefined ? undefined : vocabulary.destinations.find(input);
    return found?.unknown === undefined ? found : undefined;
  }
  get destination() {
    return this.#destinations?.trust;
  }
  get destinations() {
    const found = this.#destinations;
    return found && [...found.targets, ...found.mentions].map(readDestination);
  }
  get mentioned() {
    return this.#destinations?.mentions.map(readDestination);
  }
}

/** A place without a host has an empty one, as a caller without a trust domain has. */
const readDestination = ({ value, host = '', trust, role }: Destination) => ({ value, host, trust, role });

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
    destination: {
      type: 'string',
      meaning: 'the least trusted place that it leads to: a name under `destinations`, or `external`',
      reads: 'destinations',
    },
    destinations: {
      type: 'list<map<string, string>>',
      meaning: 'every place that it leads to: a list of `{value, host, trust, role}`; `role` is `target` or `mention`',
      reads: 'destinations',
    },
    mentioned: {
      type: 'list<map<string, string>>',
      meaning: 'the places that its texts name and that are no targets, in the same form',
      reads: 'destinations',
    },
  },
});
