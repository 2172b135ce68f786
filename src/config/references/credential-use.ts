// Where a credential is worth more than the call that it is made for: changes under a shared credential, and approvals
// in front of a fixed secret. Both work, so both are warnings.

import type { Fault } from '../../settings/faults.ts';
import type { Config } from '../schema.ts';
import { destinationsOf, type Sections } from './sections.ts';

type RuleConfig = Config['rules'][number];

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

export function* checkCredentialUse(sections: Sections): Generator<Fault> {
  for (const [index, rule] of sections.rules.entries()) {
    if (rule === undefined) continue;
    const used = credentialsOf(rule, sections);
    if (rule.decide === 'hold' && used.some(({ type }) => type === 'static'))
      yield {
        path: ['rules', index, 'tier'],
        severity: 'warning',
        message:
          'Use a credential that is made for each call: the upstream has a fixed secret (`type: static`), so the ' +
          'approval narrows nothing. What the secret opens stays open.',
      };
    if (rule.decide === 'allow' && rule.mint === undefined && used.some(isShared) && changes(rule, sections))
      yield {
        path: ['rules', index, 'mint'],
        severity: 'warning',
        message:
          'Add `mint: perCall`: the rule allows calls that change something, and they share a credential, which ' +
          'outlives each of them.',
      };
  }
}

type CredentialConfig = Config['credentials'][string];

function credentialsOf({ match }: RuleConfig, { upstreams, credentials }: Sections): readonly CredentialConfig[] {
  return destinationsOf(upstreams).flatMap(({ path, credential }) => {
    const [, mount, , server] = path;
    const meant =
      (match.upstream === undefined || match.upstream === mount) &&
      (match.server === undefined || match.server === server);
    const settings =
      credential !== undefined && Object.hasOwn(credentials, credential) ? credentials[credential] : undefined;
    return meant && settings !== undefined ? [settings] : [];
  });
}

/** A fixed secret is shared whatever a rule says; what a module shares, only the module knows. */
function isShared(settings: CredentialConfig): boolean {
  if (settings.type === 'static' || settings.type === 'module') return false;
  return !('share' in settings) || settings.share;
}

/** Whether the rule lets through an operation other than read: by its methods, where no resource says more. */
function changes(rule: RuleConfig, { resources, upstreams }: Sections): boolean {
  const { upstream, methods, path, tool, mcp, resource, prompt } = rule.match;
  const said = resources.filter(
    (one) =>
      one?.operation !== undefined &&
      (one.match.upstream === undefined || one.match.upstream === upstream) &&
      one.match.path === path &&
      one.match.tool === tool,
  );
  if (said.length > 0) return said.some((one) => one?.operation !== 'read');
  const entry = upstream !== undefined && Object.hasOwn(upstreams, upstream) ? upstreams[upstream] : undefined;
  if (entry?.protocol === 'mcp') return tool !== undefined || [mcp, resource, prompt].every((key) => key === undefined);
  return methods === undefined || methods.some((method) => !READS.has(method));
}
