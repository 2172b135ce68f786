// The ids under which agents were seen, and whose key each has. Implemented by store/.

/** An issuer that shows more new agents than this on one day probably puts a pod or a session into its ids. */
export const MANY_NEW_AGENTS = 100;

export interface SeenAgent {
  readonly id: string;
  readonly agentKey: string;
  /** The `name` of the entry under `identity.issuers`. */
  readonly issuerName: string;
}

export interface SeenAgents {
  /** Notes an id that was verified just now. One look-up for an id that was seen today. Never throws. */
  note(agent: SeenAgent): void;
  /** The key that this id had when it was seen last; undefined for an id that is not known. Never throws. */
  keyOf(id: string): string | undefined;
}
