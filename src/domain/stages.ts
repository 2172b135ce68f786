// The stages of a call: each step takes one and gives the next, so that the order of pipeline.ts is the only order that
// compiles. A stage holds all that is known by then, and is the one author of it. A step notes each stage that it makes
// (`call.reach`), so that refusals, records and telemetry see what was known when a step failed half-way.

import type { GatewayError } from '../errors.ts';
import type { Action, Digest } from './action.ts';
import type { Call } from './call.ts';
import type { Clearance } from './clearance.ts';
import type { Credential } from './credential.ts';
import type { Decision } from './decision.ts';
import type { Facts } from './facts.ts';
import type { HeaderList } from './headers.ts';
import type { Hold } from './hold.ts';
import type { Identified } from './identity.ts';
import type { Mount } from './mount.ts';
import type { InboundRequest } from './request.ts';
import type { Task, TaskCall } from './task.ts';
import type { Sent } from './upstream.ts';

export interface Received {
  readonly call: Call;
  /** The request as it came. The caller's proofs are made for these words. */
  readonly arrived: InboundRequest;
  /** The request as the call goes on with it: on a shared mount, in the words of the server that it names. */
  readonly request: InboundRequest;
  readonly mount: Mount;
}

export interface Recognised extends Received, Identified {}

/** A call that uses the approval of this very hold and of no other. */
export interface Resumption {
  readonly holdId: string;
  /** The fields that conditions see: those that the approval bound as they were held, the others as they came now. */
  readonly headers: HeaderList;
}

export interface Classified extends Recognised {
  readonly action: Action;
  readonly resumes?: Resumption;
  readonly task?: Task;
  readonly calls: readonly TaskCall[];
}

/** A call with what is known about it besides its own content. */
export interface Assessed extends Classified {
  readonly facts: Facts;
}

export interface Decided extends Assessed {
  readonly decision: Decision;
  readonly actionDigest: Digest;
  /**
   * For holds that are bound to the MCP session of the call; absent where it has none, and where no hold is asked for.
   */
  readonly formerActionDigest?: Digest;
}

/** A decided call that waits, or has waited, for people. */
export interface Held extends Decided {
  /** As it was seen last. */
  readonly hold: Hold;
  /** How long people took, once that is over. */
  readonly heldMs?: number;
}

export interface Cleared extends Decided, Partial<Pick<Held, 'hold' | 'heldMs'>> {
  readonly clearance: Clearance;
}

declare const journaled: unique symbol;

/** A cleared call whose decision is on record. Only steps/journal.ts makes one. */
export interface Journaled extends Cleared {
  readonly [journaled]: true;
  readonly auditSeq: number;
}

export interface Armed extends Journaled {
  readonly credential?: Credential;
}

/** The first byte may have gone upstream. */
export interface Departed extends Armed {
  readonly departed: true;
}

export interface Answered extends Departed {
  readonly sent: Sent;
}

/** A call that ended with an error, at whichever stage. */
export interface FailedCall {
  readonly error: GatewayError;
}

/** Any stage: what is known of a call, however far it has come. */
export type Reached = Pick<Received, 'call'> & Partial<Answered & Held & FailedCall>;

/** What pipeline.ts strings together. */
export interface Steps {
  receive(call: Call): Received;
  identify(received: Received): Recognised | Promise<Recognised>;
  /** Undefined when it was a question about a hold, and has been answered. */
  classify(recognised: Recognised): Classified | undefined | Promise<Classified | undefined>;
  assess(classified: Classified): Assessed | Promise<Assessed>;
  decide(assessed: Assessed): Decided;
  clear(decided: Decided): Cleared | Promise<Cleared>;
  journal(cleared: Cleared): Promise<Journaled>;
  arm(journaled: Journaled): Armed | Promise<Armed>;
  send(armed: Armed): Promise<void>;
  refuse(last: Reached, error: GatewayError): Promise<void>;
  settle(last: Reached): Promise<void>;
}
