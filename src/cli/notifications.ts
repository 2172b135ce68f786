// `countersign notifications …`: what people were told, what could not be delivered, and trying that again, over the
// reviewers' API.

import { parseArgs } from 'node:util';
import { CONNECTION_OPTIONS, CONNECTION_USAGE, connect } from './connect.ts';
import type { ShownNotification } from './review-client.ts';
import { EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary =
  'notifications list|retry       see what people were told and what could not be delivered, and try it again';

const USAGE = `Usage: countersign notifications list [--state pending|delivered|dead|all] [--json]
       countersign notifications retry ID

${CONNECTION_USAGE}
  --json            print what the API answered (list)

The token must belong to somebody whom reviewers.watch or reviewers.killSwitch names.`;

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  state: { type: 'string', default: 'all' },
  json: { type: 'boolean', default: false },
} as const;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true });
    const [verb, id, ...rest] = positionals;
    if (rest.length > 0 || !(verb === 'list' ? id === undefined : verb === 'retry' && id !== undefined)) {
      throw new UsageError('Write `list`, or `retry` and the id of one notification.');
    }
    const { client } = await connect(values, io);
    if (id !== undefined) {
      io.stdout.write(`${renderLine(await client.retryNotification(id))}\n`);
      return EXIT.ok;
    }
    const list = await client.notifications(values.state);
    if (values.json) printJson(io, list);
    else for (const each of list) io.stdout.write(`${renderLine(each)}\n`);
    if (list.length === 0 && !values.json) io.stderr.write('There is no notification.\n');
    return EXIT.ok;
  });
}

/** Names of the configuration, ids, and the gateway's own sentences: no agent and no receiver wrote any of it. */
function renderLine({ id, state, channel, kind, subject, attempts, createdAt, lastError }: ShownNotification): string {
  const line = `${id}  ${state.padEnd(9)}  ${createdAt}  ${channel}  ${kind}  ${subject}`;
  return lastError === undefined ? line : `${line}  ${attempts} failed: ${lastError}`;
}
