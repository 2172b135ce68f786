// docs/policy.md describes every variable of conditions and every member, as the code does, and none besides.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { VARIABLES } from '../../src/policy/variables/variables.ts';

it('documents every variable of conditions, and none besides', () => {
  const table = /\| variable \| type \| meaning \|\n\|[ -|]+\|\n((?:\|.*\n)+)/.exec(
    readFileSync('docs/policy.md', 'utf8'),
  );
  const documented = (table?.[1] ?? '')
    .trimEnd()
    .split('\n')
    .map((row) => row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
  const known = VARIABLES.flatMap((variable) => [
    ...('members' in variable
      ? Object.entries(variable.members).map(([name, { type, meaning }]) => [
          `\`${variable.name}.${name}\``,
          `\`${type}\``,
          meaning,
        ])
      : 'namedBy' in variable
        ? [[`\`${variable.name}.<name>\``, `\`${variable.memberType}\``, variable.meaning]]
        : [[`\`${variable.name}\``, `\`${variable.type}\``, variable.meaning]]),
  ]);
  expect(documented).toEqual(known);
});
