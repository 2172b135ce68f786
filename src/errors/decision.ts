// Rows of the error table: tasks, rules, and holds as agents meet them.

import { type ErrorSpec, refused, told, tooMany } from './kinds.ts';

export const DECISION = {
  // tasks
  task_not_found: refused(
    404,
    'There is no such task of yours',
    'no',
    'Open a task at /countersign/v1/tasks and send its id in Countersign-Task.',
  ),
  task_ended: refused(409, 'The task has ended', 'no', 'Open a new task.'),
  task_required: told(
    'This call needs a task',
    'Open a task and name it: in Countersign-Task, in params._meta["countersign/task"], or with the tool ' +
      'countersign_open_task. Do not look for another way.',
  ),
  task_token_invalid: refused(
    403,
    'The task token does not count',
    'no',
    'Get a task token that is made for you and for this gateway, and send it alone. Do not look for another way.',
  ),
  task_bounds: refused(
    403,
    'The call is outside the bounds of its task',
    'no',
    'Keep to what the task was opened for, or ask whoever gave it for another one. Do not look for another way.',
  ),
  task_tree_full: refused(
    409,
    'The tree of the task is full',
    'no',
    'Use the tasks that are there, or open a task without a parent.',
  ),

  // decide
  denied: {
    ...refused(
      403,
      'Policy denies this call',
      'no',
      'Do not rephrase it or look for another way. Report it: the platform team can change the rules.',
    ),
    violation: 'deny',
  },
  no_matching_rule: {
    ...refused(
      403,
      'No rule allows this call',
      'no',
      'Do not rephrase it or look for another way. Report it: the platform team can add a rule.',
    ),
    violation: 'deny',
  },
  tainted_meanwhile: refused(
    403,
    'What was read meanwhile stops this call',
    'maybe',
    'Do not send it again or look for another way. Report it: a rule stops such calls after what was read.',
  ),

  // hold
  arguments_invalid: refused(
    400,
    'The arguments do not fit the tool',
    'no',
    'Correct the arguments as the tool’s input schema says, and call it again.',
  ),
  approval_pending: {
    status: 409,
    title: 'Waiting for a human decision',
    executed: 'no',
    retry: true,
    proxy: 'http_request_denied',
    remedy: 'Send the identical request again later. Do not rephrase it or look for another way.',
    violation: 'none',
  },
  approval_denied: told(
    'A reviewer denied this call',
    'Do not rephrase it or look for another way; report the denial.',
  ),
  approval_expired: told('No approval came in time, or none is left', 'Report it. Do not look for another way.'),
  approval_unused: told(
    'The approval expired before it was used',
    'Send the identical request again to ask for a new approval.',
  ),
  approval_revoked: told('The hold was withdrawn', 'Report it. Do not look for another way.'),
  approval_invalidated: told('The approval is no longer valid', 'Send the request again to ask for a new approval.'),
  already_sent: refused(
    409,
    'This call was sent already',
    'maybe',
    'Do not send it again. A new call needs a new Idempotency-Key.',
  ),
  outcome_unknown: refused(
    409,
    'It is not known whether this call took effect',
    'maybe',
    'Do not send it again. Have a person look at the upstream first.',
  ),
  idempotency_key_reused: refused(
    422,
    'The Idempotency-Key belongs to another request',
    'no',
    'Use a new key for a different request.',
  ),
  too_many_pending: tooMany(
    'Too many calls of this agent wait for approval',
    'Wait until some of them are decided, or cancel one with DELETE on its hold.',
  ),
  too_many_calls: tooMany(
    'Too many calls are under way',
    'Send the request again later, and make fewer calls at once.',
    'connection_limit_reached',
  ),
  too_many_holds: tooMany(
    'This agent asked for too many approvals within an hour',
    'Wait before you ask for another approval. Do not look for another way; the platform team sets the limit.',
  ),
  too_many_tasks: tooMany(
    'This agent has too many open tasks',
    'End finished tasks with DELETE, then open the new one.',
  ),
  too_much_stored: tooMany(
    'Too much is stored for this agent',
    'Report it: the platform team sets the limit and how long things are kept. Ended holds and tasks are ' +
      'deleted with time.',
  ),
  no_eligible_reviewer: refused(
    403,
    'Nobody could approve this call',
    'no',
    'Report it: the platform team adds reviewers to the tier. Do not rephrase the call or look for another way.',
  ),
  session_required: refused(
    403,
    'This approval is bound to a session',
    'no',
    'Ask for the approval and use it in one MCP session, or with tokens of one sign-in. Do not look for another way.',
  ),
  hold_not_found: refused(404, 'There is no such hold of yours', 'unsaid', 'Use the id in the Countersign-Hold field.'),
  hold_closed: refused(
    409,
    'The hold is no longer open',
    'unsaid',
    'Read its state. A call that was sent cannot be taken back here.',
  ),
} as const satisfies Record<string, ErrorSpec>;
