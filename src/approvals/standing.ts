// Whether a held call is still what was held, when it comes again and when its approval is used: the same caller, task,
// rules and action. It is judged on the stricter of the facts of then and of now. A fact that faded voids nothing; one
// that appeared voids the hold only if another rule matches because of it. Pure.

import type { Judged, Verdict } from '../domain/approvals.ts';
import { appeared, asHeld, stricter } from '../domain/facts.ts';
import type { Hold } from '../domain/hold.ts';
import { bindsSession } from '../domain/mcp-session.ts';
import { boundTask } from '../domain/task.ts';
import { callerDigest, factsDigest } from './binding.ts';

/** The verdict that counts for the held call, or what changed (a sentence). */
export type Standing = { readonly verdict: Verdict } | { readonly changed: string };

export function standingOf(hold: Hold, judged: Judged): Standing {
  if (callerDigest(hold.principal) !== callerDigest(judged.principal)) return { changed: 'The caller changed.' };
  const [then, now] = [boundTask(hold.task), boundTask(judged.task)];
  if (then?.id !== now?.id || then?.revision !== now?.revision) return { changed: 'The task changed.' };
  const { facts } = hold;
  const verdict = facts === undefined ? judged : judged.on(stricter(facts, judged.facts));
  const difference = differenceOf(hold, verdict);
  const verdictOf = (counted: Verdict): Standing =>
    hold.factsDigest === undefined || hold.factsDigest === factsDigest(judged.facts)
      ? { verdict: counted }
      : { changed: 'What the configuration says of the call changed.' };
  if (difference === undefined) return verdictOf(verdict);
  if (facts === undefined) return { changed: difference };
  // On the facts of then: if this verdict differs too, something else than facts has changed.
  const held = judged.on(asHeld(facts, judged.facts));
  const other = differenceOf(hold, held);
  if (other !== undefined) return { changed: other };
  const more = rulesAdded(hold, verdict);
  if (more.length === 0) return verdictOf(held);
  const what = appeared(facts, judged.facts);
  const because = what.length === 0 ? 'what is known of the call changed' : what.join(', ');
  return { changed: `New since the call was held: ${because}. Rules that match because of it: ${more.join(', ')}.` };
}

/** A sentence; undefined where the verdict is that of the hold. */
function differenceOf(hold: Hold, { decision, actionDigest, formerActionDigest }: Verdict): string | undefined {
  if (hold.decisionDigest !== decision.decisionDigest) return 'A rule or a tier that the approval rests on changed.';
  // A hold that was opened when approvals still bound the MCP session has its session in its digest.
  const digest = bindsSession(hold.action) ? formerActionDigest : actionDigest;
  return hold.actionDigest === digest ? undefined : 'The action is not the one that was looked at.';
}

/** Rules that hold or deny the call now, and did not when it was held. */
function rulesAdded(hold: Hold, { decision }: Verdict): readonly string[] {
  const known = new Set(hold.rules.map(({ id }) => id));
  return decision.rules.filter(({ id, effect }) => effect !== 'allow' && !known.has(id)).map(({ id }) => id);
}
