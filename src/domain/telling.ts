// What whoever called is told of an error, on every plane and in every protocol: what happened, whether anything was
// executed, what to do. Each of the three has one author: the error's detail, its `executed`, the table's remedy. The
// reader is often a language model. Says nothing of execution unless it is known, and nothing of a call to somebody who
// asked something else.

import { ERRORS, type Executed, type GatewayError } from '../errors.ts';
import type { Action } from './action.ts';

/**
 * What the error is an answer to: a `call`, which it ends; or a `question` about one, or anything else that is no call.
 * A refused question says nothing about the call that it was about, unless whoever made the error has looked.
 */
export type AnswerTo = 'call' | 'question';

const EXECUTED: Readonly<Record<Executed, string>> = {
  no: 'Nothing was executed.',
  maybe: 'The call may have taken effect.',
  unsaid: '',
};

/**
 * A message about a task is not the call that the task stands for, unless it has been put in its place
 * (steps/classify.ts).
 */
export function answerTo(action: Pick<Action, 'mcp'> | undefined): AnswerTo {
  return action?.mcp?.method?.startsWith('tasks/') ? 'question' : 'call';
}

function executedOf(error: GatewayError, to: AnswerTo): Executed {
  return to === 'call' ? error.executed : (error.details.executed ?? 'unsaid');
}

/** One paragraph. Each thing is said once. */
export function tell(error: GatewayError, to: AnswerTo): string {
  const { code, detail, details } = error;
  const hold = details.holdId === undefined ? '' : `The hold is ${details.holdId}.`;
  const wait =
    details.retryAfter === undefined ? '' : `Wait at least ${details.retryAfter} seconds before you ask again.`;
  return [detail, EXECUTED[executedOf(error, to)], hold, ERRORS[code].remedy, wait]
    .filter((part) => part !== '')
    .join(' ');
}
