// Rows of the error table: what reviewers are told.

import { type ErrorSpec, review } from './kinds.ts';

export const REVIEWERS = {
  // reviewers
  reviewer_unauthenticated: review(
    401,
    'The reviewers’ plane needs a sign-in of its own',
    'Send a bearer token of the reviewers’ issuer and audience. Workload tokens are not accepted.',
  ),
  not_a_reviewer: review(403, 'You are not a reviewer of this hold', 'Ask someone named by its requirements.'),
  separation_of_duties: review(
    403,
    'You may not decide on this call',
    'It is made by you, on your behalf, or by an agent that you own. Someone else has to decide.',
  ),
  stale_digest: review(412, 'The hold is not what you looked at', 'Load it again and decide on what it says now.'),
  already_voted: review(409, 'You have voted on this hold', 'One person has one vote.'),
  reason_required: review(422, 'This tier asks for a reason', 'Send a reason with the vote.'),
  step_up_required: review(401, 'This tier asks for a fresh sign-in', 'Sign in again and vote within five minutes.'),
  assurance_required: review(
    401,
    'This tier asks for stronger proof of who votes',
    'Sign in again as asked for, or decide on the page of the hold: only there a passkey can be used.',
  ),
  bad_vote: review(
    422,
    'The vote is not well-formed',
    'Send {"decision": "approve" or "deny", "bindingDigest": "…", "reason": "…"}.',
  ),
} as const satisfies Record<string, ErrorSpec>;
