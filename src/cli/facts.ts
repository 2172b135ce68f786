// `countersign facts`: what the gateway knows of an agent, a person, a root of tasks or a resource, over the reviewers'
// API. Prints names, times and counts only; what agents wrote is no fact.

import { parseArgs } from 'node:util';
import { CONNECTION_OPTIONS, CONNECTION_USAGE, connect } from './connect.ts';
import { EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary =
  'facts                          see what the gateway knows of an agent, a person, a root or a resource';

const USAGE = `Usage: countersign facts --agent KEY | --person NAME | --root TASK | --resource ID

${CONNECTION_USAGE}

Prints the marks with what set them and when they end, and what else the API answers, as JSON.
The token must belong to somebody whom reviewers.watch or reviewers.declassify names.`;

const SCOPES = ['agent', 'person', 'root', 'resource'] as const;

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  agent: { type: 'string' },
  person: { type: 'string' },
  root: { type: 'string' },
  resource: { type: 'string' },
} as const;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { values } = parseArgs({ args, options: OPTIONS });
    const named = SCOPES.filter((scope) => values[scope] !== undefined);
    const [scope] = named;
    const key = scope && values[scope];
    if (scope === undefined || !key || named.length > 1)
      throw new UsageError('Write one of --agent, --person, --root and --resource.');
    const { client } = await connect(values, io);
    printJson(io, await client.facts(scope, key));
    return EXIT.ok;
  });
}
