// `countersign lift ID`: ends a suspension, over the reviewers' API. What it has revoked stays revoked.

import { parseArgs } from 'node:util';
import { CONNECTION_OPTIONS, CONNECTION_USAGE, connect } from './connect.ts';
import { renderSuspension } from './render-suspension.ts';
import { EXIT, type Io, runCommand, UsageError } from './terminal.ts';

export const summary = 'lift ID                        end a suspension (its id: countersign suspend list)';

const USAGE = `Usage: countersign lift ID

${CONNECTION_USAGE}

The token must belong to somebody whom reviewers.killSwitch names.`;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { values, positionals } = parseArgs({ args, options: CONNECTION_OPTIONS, allowPositionals: true });
    const [id, ...rest] = positionals;
    if (id === undefined || rest.length > 0) throw new UsageError('Name one suspension by its id.');
    const { client } = await connect(values, io);
    io.stdout.write(`Lifted: ${renderSuspension(await client.lift(id))}\n`);
    return EXIT.ok;
  });
}
