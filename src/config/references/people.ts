// Whether agents' tokens and reviewers' sign-ins name people by the same claim. Where they do not, only subjects and ids
// are compared, and somebody with two subjects is two people.

import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

interface Side {
  readonly path: readonly (string | number)[];
  readonly name: string;
  readonly claim: string | undefined;
}

export function* checkPeople({ identity, reviewers }: Sections): Generator<Fault> {
  const agents = (identity?.issuers ?? []).flatMap((issuer, index): Side[] =>
    issuer.type === 'oidc'
      ? [{ path: ['identity', 'issuers', index], name: issuer.name, claim: issuer.personClaim }]
      : [],
  );
  const sides = (['login', 'api'] as const).flatMap((name): Side[] => {
    const section = reviewers?.[name];
    return section === undefined
      ? []
      : [{ path: ['reviewers', name], name: `reviewers.${name}`, claim: section.personClaim }];
  });
  for (const side of sides) {
    const other = [...agents, ...sides].find(({ claim }) => claim !== side.claim);
    if (other !== undefined) yield warning(side, other);
  }
}

function warning(side: Side, other: Side): Fault {
  const named = (claim: string | undefined): string => (claim === undefined ? 'no claim' : `\`${claim}\``);
  return {
    path: [...side.path, 'personClaim'],
    severity: 'warning',
    message:
      `${side.name} names people by ${named(side.claim)}, and ${other.name} by ${named(other.claim)}. Where the claims ` +
      'differ, a person with two subjects counts as two people. Set `personClaim` to a claim that has the same value on ' +
      'both sides.',
  };
}
