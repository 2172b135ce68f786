// `agent`: the caller, as its token proved it.

import type { Principal } from '../../domain/principal.ts';
import { type ConditionCall, viewVariable } from './variable.ts';

class AgentView {
  readonly #principal: Principal;
  constructor({ input }: ConditionCall) {
    this.#principal = input.principal;
  }
  get id() {
    return this.#principal.id;
  }
  get spiffeId() {
    const { kind, id, spiffeId = '' } = this.#principal;
    return kind === 'spiffe' ? id : spiffeId;
  }
  get trustDomain() {
    return this.#principal.trustDomain ?? '';
  }
  get issuer() {
    return this.#principal.issuer;
  }
  get claims() {
    return this.#principal.claims;
  }
  get onBehalfOf() {
    return this.#principal.onBehalfOf.map(({ id, issuer, subject }) => ({ id, issuer, subject }));
  }
}

export const agent = viewVariable({
  name: 'agent',
  type: 'Agent',
  meaning: 'who calls',
  view: AgentView,
  members: {
    id: { type: 'string', meaning: 'the id of the caller' },
    spiffeId: {
      type: 'string',
      meaning: 'the SPIFFE ID, also of a caller whose token is bound to an X.509-SVID; empty for other callers',
    },
    trustDomain: { type: 'string', meaning: 'the SPIFFE trust domain; empty for OIDC callers' },
    issuer: { type: 'string', meaning: 'who issued the token' },
    claims: { type: 'map<string, dyn>', meaning: 'the claims of the token' },
    onBehalfOf: {
      type: 'list<map<string, string>>',
      meaning: 'for whom the caller acts: a list of `{id, issuer, subject}`',
    },
  },
});
