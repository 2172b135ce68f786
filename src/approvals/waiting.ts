// Requests that wait for a hold to leave PENDING. A change wakes only the requests that wait for its hold. Trusts the
// store to announce changes in commit order. A request that goes away leaves nothing behind; its hold stays.

/** Why a wait ended. */
export type Wake = 'changed' | 'timeout' | 'closed' | 'draining';

export interface HoldWaits {
  /**
   * Starts a wait. The wait listens from this call on: look at the hold after the call and before awaiting `wake`.
   * `cancel` ends the wait quietly. `onClosed` registers the callback for the requester's disconnect and returns the
   * function that forgets it.
   */
  start(
    holdId: string,
    waitMs: number,
    onClosed?: (callback: () => void) => () => void,
  ): { readonly wake: Promise<Wake>; cancel(): void };
  wake(holdId: string): void;
  /** Ends every wait, and all later ones at once. */
  drain(): void;
  /** Waits in progress. */
  readonly size: number;
}

type HoldWaiter = (wake: Wake) => void;

export function createWaiting(): HoldWaits {
  const byHold = new Map<string, Set<HoldWaiter>>();
  let size = 0;
  let draining = false;

  function add(holdId: string, waiter: HoldWaiter): void {
    const waiters = byHold.get(holdId);
    if (waiters === undefined) byHold.set(holdId, new Set([waiter]));
    else waiters.add(waiter);
    size++;
  }

  function remove(holdId: string, waiter: HoldWaiter): void {
    const waiters = byHold.get(holdId);
    if (!waiters?.delete(waiter)) return;
    if (waiters.size === 0) byHold.delete(holdId);
    size--;
  }

  function start(holdId: string, waitMs: number, onClosed?: (callback: () => void) => () => void) {
    const { promise, resolve } = Promise.withResolvers<Wake>();
    let timer: NodeJS.Timeout | undefined;
    let forget: (() => void) | undefined;
    let ended = false;
    const end: HoldWaiter = (wake) => {
      ended = true;
      remove(holdId, end);
      clearTimeout(timer);
      forget?.();
      resolve(wake);
    };
    if (draining) {
      resolve('draining');
      return { wake: promise, cancel() {} };
    }
    add(holdId, end);
    timer = setTimeout(end, Math.min(waitMs, 2 ** 31 - 1), 'timeout');
    forget = onClosed?.(() => end('closed'));
    if (ended) forget?.();
    return { wake: promise, cancel: () => end('closed') };
  }

  return {
    start,
    wake(holdId) {
      for (const waiter of byHold.get(holdId) ?? []) waiter('changed');
    },
    drain() {
      draining = true;
      for (const waiters of byHold.values()) for (const waiter of waiters) waiter('draining');
    },
    get size() {
      return size;
    },
  };
}
