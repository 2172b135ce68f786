// `approval`: what people have approved. A condition sees it when an approved call is about to be sent.

import { Duration } from '@marcbachmann/cel-js/evaluator';
import type { Approval } from '../../domain/decision.ts';
import { type ConditionCall, viewVariable } from './variable.ts';

class ApprovalView {
  readonly #approval: Approval | undefined;
  constructor({ input }: ConditionCall) {
    this.#approval = input.approval;
  }
  get count() {
    return BigInt(this.#approval?.count ?? 0);
  }
  get reviewers() {
    return this.#approval?.reviewers ?? [];
  }
  /** Absent before a hold is approved: an age of zero would read as a fresh approval. */
  get age() {
    return this.#approval && Duration.fromMilliseconds(this.#approval.ageMs);
  }
}

export const approval = viewVariable({
  name: 'approval',
  type: 'Approval',
  meaning: 'the approval of a held call',
  view: ApprovalView,
  members: {
    count: { type: 'int', meaning: 'how many people approved; 0 before a hold is approved' },
    reviewers: { type: 'list<string>', meaning: 'the ids of the people who approved' },
    age: {
      type: 'google.protobuf.Duration',
      meaning: 'how long ago the last vote that was needed came; absent before a hold is approved',
    },
  },
});
