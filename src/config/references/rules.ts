// What rules refer to, and keys that make no sense beside others of the same rule.

import type { Fault } from '../../settings/faults.ts';
import type { Config } from '../schema.ts';
import { checkMatch } from './match.ts';
import { checkName } from './names.ts';
import { destinationsOf, type Sections } from './sections.ts';

type RuleConfig = Config['rules'][number];

export function* checkRules(sections: Sections): Generator<Fault> {
  const { rules, tiers } = sections;
  for (const [index, rule] of rules.entries()) {
    if (rule === undefined) continue;
    const at = (...path: string[]) => ['rules', index, ...path];
    const first = rules.findIndex((other) => other?.id === rule.id);
    if (first !== index) yield { path: at('id'), message: `Write another id: rules[${first}] has this one already.` };
    yield* checkTier(rule, tiers, at('tier'));
    if (rule.decide === 'deny' && rule.credential !== undefined)
      yield { path: at('credential'), message: 'Remove `credential`: a denied call gets no credential.' };
    if (rule.decide !== 'allow' && rule.mint !== undefined)
      yield {
        path: at('mint'),
        message: 'Remove `mint`: only a call that an allow rule lets through could share a credential.',
      };
    for (const fault of [...checkMatch(rule.match, sections), ...checkNarrowing(rule, sections)])
      yield { ...fault, path: at(...(fault.path as string[])) };
  }
}

function* checkTier({ decide, tier }: RuleConfig, tiers: Sections['tiers'], path: Fault['path']): Generator<Fault> {
  if (decide !== 'hold') {
    if (tier !== undefined)
      yield { path, message: 'Remove `tier`, or write `decide: hold`: only a hold rule has a tier.' };
    return;
  }
  if (tier === undefined)
    yield { path, message: 'This key is required on a hold rule. Write the name of a tier under `tiers`.' };
  yield* checkName('tier', tier, tiers, path);
}

/** Paths from the rule. */
function* checkNarrowing({ match, decide, credential }: RuleConfig, { upstreams }: Sections): Generator<Fault> {
  const { upstream: name, server } = match;
  if (decide === 'deny' || credential === undefined || name === undefined) return;
  const upstream = Object.hasOwn(upstreams, name) ? upstreams[name] : undefined;
  if (upstream === undefined) return;
  const meant = destinationsOf({ [name]: upstream }).filter(
    ({ path }) => server === undefined || path.at(-1) === server,
  );
  // A server of this name that is not there is told by checkMatch.
  if (meant.length === 0) return;
  if (meant.every((each) => each.credential === undefined))
    yield {
      path: ['credential'],
      message: 'Set `credential` on the upstream, or remove it here: the upstream has no credential to narrow.',
    };
}
