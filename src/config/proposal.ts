// Proposes a change of the rules for a kind of call that people keep approving. It is text for a person to judge and to
// send through the configuration's own review; nothing applies it. Proposes nothing where more than one rule would have
// to change.

import { stringify } from 'yaml';
import type { Hold } from '../domain/hold.ts';
import type { SimilarHolds } from '../domain/hold-store.ts';
import type { Config } from './schema.ts';

type ProposedRule = Config['rules'][number];

/** How many approvals, without a denial, before a change is proposed. */
const ENOUGH = 5;
/** Ids that can be written in a condition as they are. */
const PLAIN = /^[\x21-\x7e]{1,500}$/;

/**
 * A rule about what happened before holds some calls of a kind, and not others: approvals of those that it held say
 * nothing of the kind.
 */
const RESTS_ON_HISTORY = /\b(?:tainted|taintedBy|meter|novel)\b/;

/** Entries for `rules` that replace the one that holds such calls; undefined when nothing can be proposed. */
export function proposeRules(rules: readonly ProposedRule[], hold: Hold, similar: SimilarHolds): string | undefined {
  if (similar.approvedTimes < ENOUGH || similar.deniedTimes > 0 || !PLAIN.test(hold.principal.id)) return undefined;
  const holding = hold.rules
    .filter(({ effect }) => effect === 'hold')
    .map(({ id }) => rules.find((rule) => rule.id === id));
  const [rule] = holding;
  if (rule === undefined || holding.length !== 1 || RESTS_ON_HISTORY.test(rule.when ?? '')) return undefined;
  const agent = JSON.stringify(hold.principal.id);
  const { tier: _, wholeSession: __, ...allowed } = rule;
  // The proposed rule passes plain requests or WebSockets, and not both: where WebSockets pass, a plain request of the
  // agent stays held.
  const others =
    hold.action.upgrade === undefined ? `agent.id != ${agent}` : `(agent.id != ${agent} || !request.upgrade)`;
  const narrowed = { ...rule, when: both(rule.when, others) };
  const passing = {
    ...allowed,
    ...(hold.action.upgrade && { match: { ...rule.match, upgrade: true } }),
    id: `${rule.id}-passed`.slice(0, 64),
    when: both(rule.when, `agent.id == ${agent}`),
    decide: 'allow',
    ...(hold.notify && { notify: hold.notify }),
  };
  const since = new Date(similar.since).toISOString().slice(0, 10);
  return [
    `# ${similar.approvedTimes} calls like this one were approved since ${since}, and none was denied.`,
    `# This replaces the rule ${rule.id}: other agents stay held; this agent's calls pass, whatever their arguments.`,
    '# Narrow the condition to what is harmless (args, request.params) before it goes through review.',
    stringify([narrowed, passing], { lineWidth: 0 }).trimEnd(),
    '',
  ].join('\n');
}

const both = (first: string | undefined, second: string): string =>
  first === undefined ? second : `(${first}) && ${second}`;
