// What the classification refers to: labels of `sensitivity`, taints, and the upstreams of resources.

import type { Fault } from '../../settings/faults.ts';
import { suggest } from '../../settings/suggestions.ts';
import { checkMatch } from './match.ts';
import { checkName } from './names.ts';
import { destinationsOf, type Sections } from './sections.ts';

export function* checkResources(sections: Sections): Generator<Fault> {
  const { resources, sensitivity, taints, unclassified } = sections;
  yield* checkLabel(unclassified, sensitivity, ['unclassified']);
  const trusts = [...Object.keys(sections.destinations), 'external'];
  for (const { trust, path } of destinationsOf(sections.upstreams))
    if (trust !== undefined && !trusts.includes(trust))
      yield {
        path: [...path, 'trust'],
        message: `There is no such name under \`destinations\`. ${suggest(trust, 'Names', trusts)}`,
      };
  for (const [index, resource] of resources.entries()) {
    if (resource === undefined) continue;
    const at = (...path: readonly (string | number)[]) => ['resources', index, ...path];
    const first = resources.findIndex((other) => other?.id === resource.id);
    if (first !== index)
      yield { path: at('id'), message: `Write another id: resources[${first}] has this one already.` };
    yield* checkLabel(resource.data, sensitivity, at('data'));
    for (const [place, name] of (resource.taints ?? []).entries())
      yield* checkName('taint', name, taints, at('taints', place));
    for (const fault of checkMatch(resource.match, sections)) yield { ...fault, path: at(...fault.path) };
  }
}

function* checkLabel(
  label: string | undefined,
  sensitivity: Sections['sensitivity'],
  path: Fault['path'],
): Generator<Fault> {
  if (label === undefined || sensitivity.length === 0 || sensitivity.includes(label)) return;
  yield { path, message: `This is no label of \`sensitivity\`. ${suggest(label, 'Labels', sensitivity)}` };
}
