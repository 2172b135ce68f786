// A suspension in one line. Names and reasons are other people's words: every character of them is shown.

import { visible } from '../domain/visible-text.ts';
import type { ShownSuspension } from './review-client.ts';

const KINDS = [
  ['principal', 'agent'],
  ['person', 'person'],
  ['task', 'task'],
  ['upstream', 'upstream'],
  ['trustDomain', 'trust domain'],
] as const;

export function renderSuspension(suspension: ShownSuspension): string {
  const { id, at, until, by, reason } = suspension;
  const [member, kind] = KINDS.find(([name]) => suspension[name] !== undefined) ?? [];
  const what = member === undefined ? 'everything' : `${kind} ${visible(suspension[member] ?? '').text}`;
  const end = until === undefined ? 'until it is lifted' : `until ${until}`;
  return `${id}  ${what}  ${at}  ${end}  by ${visible(by).text}: ${visible(reason).text}`;
}
