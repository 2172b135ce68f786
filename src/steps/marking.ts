// Sets marks. What an answer marks is on disk, and every open call that it concerns has been decided on again, before
// the first byte of the answer goes on; the answer is kept back until then. What a marked caller writes into a resource
// that carries marks has marked the resource before the call goes out. An answer that is never passed on marks nobody.

import type { Call } from '../domain/call.ts';
import type { Classification } from '../domain/classification.ts';
import type { Clock } from '../domain/clock.ts';
import { chainOf, personKeys } from '../domain/person.ts';
import type { Principal } from '../domain/principal.ts';
import type { HandOut } from '../domain/protocol-handler.ts';
import type { Cleared, Departed } from '../domain/stages.ts';
import {
  type MarkCause,
  type MarkKey,
  type MarkStore,
  markKeysOf,
  resourceKeys,
  type TaintKind,
  taintsOf,
} from '../domain/taint.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import type { FactWatch } from './fact-watch.ts';
import { KeptBack } from './kept-back.ts';

export interface MarkingParts {
  readonly marks: MarkStore;
  readonly clock: Clock;
  readonly watch: Pick<FactWatch, 'marked' | 'isStale' | 'decideAgain'>;
}

/** Of a mark whose taint the configuration does not name any more. */
const UNKNOWN_TAINT_MS = 24 * 60 * 60_000;

export class Marking {
  readonly #parts: MarkingParts;

  constructor(parts: MarkingParts) {
    this.#parts = parts;
  }

  /** What has to be done before an answer goes on; undefined for a call whose answer marks nobody. */
  beforeAnswer(cleared: Cleared): undefined | (() => Promise<void>) {
    const { taints, carries } = cleared.facts.classification;
    return taints.length === 0 && carries.length === 0 ? undefined : () => this.#onReader(cleared);
  }

  /**
   * What has to be done each time an answer that is kept here is handed out again; undefined for an answer that marks
   * nobody. It keeps nothing of the call but whom it marks.
   */
  beforeHandingOut(cleared: Cleared): undefined | HandOut {
    const { taints, carries } = cleared.facts.classification;
    if (taints.length === 0 && carries.length === 0) return undefined;
    const reader = readerOf(cleared);
    return (by) => this.#markReader({ ...reader, call: by });
  }

  /** Keeps the answer back until that is done. */
  keepBack(cleared: Cleared, sink: ResponseSink): KeptBack | undefined {
    const before = this.beforeAnswer(cleared);
    return before && new KeptBack(sink, before);
  }

  /**
   * Brings an unsent call up to date: the resources that it writes into are marked, and it is decided on again if a
   * mark was set since its marks were looked up. Undefined where there is nothing to do.
   */
  beforeSending(cleared: Cleared): undefined | Promise<void> {
    const writes = writesInto(cleared);
    return writes || this.#parts.watch.isStale(cleared.call) ? this.#prepare(cleared, writes) : undefined;
  }

  async #prepare(cleared: Cleared, writes: boolean): Promise<void> {
    const { watch } = this.#parts;
    do {
      if (watch.isStale(cleared.call)) await watch.decideAgain(cleared);
      if (writes) await this.#onResources(cleared);
    } while (watch.isStale(cleared.call));
  }

  /** Marks those for whom the call is made with what its answer may contain. */
  #onReader(cleared: Cleared): Promise<void> {
    return this.#markReader({ ...readerOf(cleared), call: cleared.call });
  }

  async #markReader(reader: Reader & { readonly call: Call }): Promise<void> {
    const { principal, root, classification } = reader;
    const { taints, carries } = classification;
    // Read at the last moment, so that what was written while the call was under way counts.
    const carried = carries.length === 0 ? [] : await this.#parts.marks.on(resourceKeys(carries));
    const names = [...new Set([...taints, ...taintsOf(carried)])];
    if (names.length > 0) await this.#set(reader, markKeysOf(principal, root), names);
  }

  /** Marks the resources that the call writes into with the marks of those for whom it is made. */
  async #onResources(cleared: Cleared): Promise<void> {
    const { principal, task, facts } = cleared;
    const names = taintsOf(await this.#parts.marks.on(markKeysOf(principal, task?.root)));
    const reader = { ...readerOf(cleared), call: cleared.call };
    if (names.length > 0) await this.#set(reader, resourceKeys(facts.classification.carries), names);
  }

  async #set(
    { call, principal, classification }: Reader & { readonly call: Call },
    keys: readonly MarkKey[],
    names: readonly string[],
  ): Promise<void> {
    const { marks, clock, watch } = this.#parts;
    const kinds = names.map(
      (taint): TaintKind => ({ taint, forMs: call.runtime.taints.get(taint) ?? UNKNOWN_TAINT_MS }),
    );
    const cause: MarkCause = {
      ...{ call: call.id, at: clock.now(), resources: classification.resources },
      ...{ agent: principal.agentKey, chain: chainOf(principal).flatMap(personKeys) },
    };
    const set = await marks.set(keys, kinds, cause);
    if (set.length === 0) return;
    call.marked = [...new Set([...(call.marked ?? []), ...taintsOf(set)])];
    for (const open of await watch.marked(set, call)) await this.#carryOn(open);
  }

  /** What an open call writes from now on may be what was read, and what it reads may be what was written. */
  async #carryOn(open: Departed): Promise<void> {
    if (writesInto(open) && isWriting(open)) await this.#onResources(open);
    if (open.facts.classification.carries.length > 0) await this.#onReader(open);
  }
}

/** For whom a call is made, and what it touches. */
interface Reader {
  readonly principal: Principal;
  readonly root: string | undefined;
  readonly classification: Classification;
}

const readerOf = ({ principal, task, facts }: Cleared): Reader => ({
  ...{ principal, root: task?.root, classification: facts.classification },
});

function writesInto({ facts: { classification } }: Cleared): boolean {
  return classification.carries.length > 0 && classification.operation !== 'read';
}

/** More of its body, or of what it says over its WebSocket, can still come. */
const isWriting = ({ call, arrived }: Departed): boolean =>
  call.upgrade !== undefined || arrived.body.underway === true;
