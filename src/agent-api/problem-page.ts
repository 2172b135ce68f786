// The page behind a problem's `type`: what it means and what to do, straight from the error table.

import { ERRORS, type ErrorCode, GatewayError } from '../errors.ts';
import type { Answer } from '../problem.ts';

/** Throws `not_found` for a code that is not in the table. */
export function problemPage(code: string): Answer {
  if (!Object.hasOwn(ERRORS, code)) throw new GatewayError('not_found', 'There is no problem of this name.');
  const { status, title, remedy, retry } = ERRORS[code as ErrorCode];
  const again = retry
    ? 'The identical request may be sent again later.'
    : 'Sending the identical request again at once will not help.';
  const body = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${code}</title>
<h1>${title}</h1>
<p><code>${code}</code>, HTTP status ${status}.</p>
<p>${remedy}</p>
<p>The answer itself says whether anything was executed, as far as that is known.</p>
<p>${again}</p>
</html>
`;
  return {
    status: 200,
    headers: [
      'content-type',
      'text/html; charset=utf-8',
      'content-security-policy',
      "default-src 'none'",
      'x-content-type-options',
      'nosniff',
    ],
    body,
  };
}
