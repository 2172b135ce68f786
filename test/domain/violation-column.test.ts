// Which refusals count as violations. Kind of fault: an agent that is suspended for what it did not try, or that is told
// of one denial ten times.

import { expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/errors.ts';

const codesOf = (kind: string): ErrorCode[] =>
  (Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].violation === kind);

it('are denials by rules, and of other refusals those with 403', () => {
  expect(codesOf('deny')).toEqual(['denied', 'no_matching_rule']);
  expect(codesOf('other').filter((code) => ERRORS[code].status !== 403)).toEqual([]);
  expect(codesOf('other')).toContain('tainted_meanwhile');
});

it.each<ErrorCode>([
  'task_required',
  'principal_suspended',
  'approval_denied',
  'approval_expired',
  'approval_revoked',
  'approval_pending',
  'bad_request',
  'too_many_calls',
  'token_expired',
])('are not %s', (code) => {
  expect(ERRORS[code].violation).toBe('none');
});
