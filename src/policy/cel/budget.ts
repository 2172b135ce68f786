// The budget of the conditions of one call, in steps: about one for each operator that runs, and more where a value is
// large. Steps are counted and not timed, so the same call and the same rules always give the same result. A step takes
// at most about 50 ns (test/bench/policy-cost.ts), so the conditions of a call never hold the process up for 100 ms.

/** For all conditions of one call together. `args.items.all(i, i.amount > 0)` takes four or five steps an item. */
export const BUDGET = 1_000_000;

/** Thrown when the budget is spent, and for no other reason. It has no stack, because the place does not matter. */
export const OVER_BUDGET = Symbol('over budget');

/** Characters of text that one step pays for. */
const TEXT_PER_STEP = 16;

/** On what terms a condition is evaluated. */
export interface EvaluationTerms {
  readonly budget: Budget;
  /** Whether the upstream tells names apart by the case of letters. */
  readonly caseSensitive: boolean;
}

export class Budget {
  readonly #budget: number;
  #left: number;
  constructor(budget = BUDGET) {
    this.#budget = budget;
    this.#left = budget;
  }

  /** Whether the budget is spent. Then no condition of the call has a result. */
  get spent(): boolean {
    return this.#left < 0;
  }

  /** Steps so far. */
  get used(): number {
    return this.#budget - this.#left;
  }

  /** Throws OVER_BUDGET. */
  charge(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw OVER_BUDGET;
  }

  /** For work that reads a text, or bytes, once. */
  chargeText(length: number): void {
    if (length > TEXT_PER_STEP) this.charge(Math.ceil(length / TEXT_PER_STEP));
  }
}
