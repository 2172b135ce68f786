// The meters of a call: reserved before the rules decide on it, counted when it is sent, given back when it ends unsent.
// Of two calls at the same time, the later one sees what the earlier one reserves.

import type { Call } from '../domain/call.ts';
import type { Facts } from '../domain/facts.ts';
import { header } from '../domain/headers.ts';
import { type MeterStore, type OwnHold, placeMetering } from '../domain/meter.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Classified } from '../domain/stages.ts';
import type { ActionDigests } from './decide.ts';

export class CallMeters {
  readonly #store: MeterStore;
  readonly #digests: Pick<ActionDigests, 'request'>;

  constructor(store: MeterStore, digests: Pick<ActionDigests, 'request'>) {
    this.#store = store;
    this.#digests = digests;
  }

  /**
   * Reserves what the call adds, in place of what it reserved before. Gives what its rules read; undefined where they
   * read no meter. `holdId`: the hold whose approval the call is about to use. Throws `store_unavailable`.
   */
  reserve(runtime: RuntimeConfig, classified: Classified, holdId: string | undefined): Facts['meters'] {
    return this.#reserve(runtime, classified, () => this.#ownHold(classified, holdId ?? classified.resumes?.holdId));
  }

  /**
   * For a call that the rules let through although an identical one is held: it goes out beside the held one, so it
   * reserves its own amount. Gives what its rules read now; undefined for every other call. Throws `store_unavailable`.
   */
  reserveBesideHold(runtime: RuntimeConfig, classified: Classified): Facts['meters'] {
    return classified.call.reserved?.onHold ? this.#reserve(runtime, classified, () => 'none') : undefined;
  }

  #reserve(runtime: RuntimeConfig, classified: Classified, own: () => OwnHold): Facts['meters'] {
    const { call, principal, action, request, resumes, task } = classified;
    const headers = resumes?.headers ?? request.headers;
    const meterings = runtime.policy.meterings({ principal, action, headers });
    this.giveBack(call);
    if (meterings.length === 0) return undefined;
    const placed = meterings.map((metering) => placeMetering(metering, principal, task?.root));
    call.reserved = this.#store.reserve(placed, own());
    return meterings.some(({ read }) => read) ? call.reserved.totals : undefined;
  }

  giveBack(call: Call): void {
    if (call.reserved === undefined) return;
    this.#store.giveBack(call.reserved);
    call.reserved = undefined;
  }

  /** The call is sent now. What its hold reserved is counted as the hold becomes SENT. */
  count(call: Call, released: boolean): undefined | Promise<void> {
    const { reserved } = call;
    return reserved && this.#store.count(reserved, !released);
  }

  #ownHold({ principal, task, action, request }: Classified, holdId: string | undefined): OwnHold {
    if (holdId !== undefined) return { holdId };
    return {
      requestDigest: () => this.#digests.request(principal, task?.id, action),
      idempotencyKey: header(request.headers, 'idempotency-key'),
    };
  }
}
