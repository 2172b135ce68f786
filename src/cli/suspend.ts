// `countersign suspend …`: stops an agent, a person, a task, an upstream, a trust domain or everything, over the
// reviewers' API.

import { parseArgs } from 'node:util';
import { suggest } from '../settings/suggestions.ts';
import { CONNECTION_OPTIONS, CONNECTION_USAGE, connect } from './connect.ts';
import { renderSuspension } from './render-suspension.ts';
import { EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary =
  'suspend WHAT NAME              stop an agent, person, task, upstream, trust domain or everything';

const USAGE = `Usage: countersign suspend agent|person|task|upstream|trust-domain NAME --reason TEXT [--for 1h]
       countersign suspend everything --reason TEXT [--for 1h]
       countersign suspend list

${CONNECTION_USAGE}
  --reason TEXT     why; it is kept in the record
  --for DURATION    when it ends by itself, like 30m, 1h or 7d; default: when somebody lifts it
  --json            print what the API answered

The token must belong to somebody whom reviewers.killSwitch names.`;

/** As the terminal and the API call them. */
const MEMBERS: Readonly<Record<string, string>> = {
  agent: 'agent',
  person: 'person',
  task: 'task',
  upstream: 'upstream',
  'trust-domain': 'trustDomain',
};

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const options = {
      ...CONNECTION_OPTIONS,
      reason: { type: 'string' },
      for: { type: 'string' },
      json: { type: 'boolean', default: false },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (positionals.join(' ') === 'list') {
      const { client } = await connect(values, io);
      const list = await client.suspensions();
      if (values.json) printJson(io, list);
      else for (const each of list) io.stdout.write(`${renderSuspension(each)}\n`);
      if (list.length === 0 && !values.json) io.stderr.write('Nobody and nothing is suspended.\n');
      return EXIT.ok;
    }
    const what = readTarget(positionals);
    const reason = values.reason?.trim();
    if (!reason) throw new UsageError('Say why: add --reason TEXT.');
    const { client } = await connect(values, io);
    const done = await client.suspend({ ...what, reason, ...(values.for !== undefined && { for: values.for }) });
    if (values.json) printJson(io, done);
    else {
      const { revokedHolds, cutConnections, credentialsRevoked } = done;
      const later = credentialsRevoked
        ? ''
        : ' An issuer could not be told yet to take back a credential; it is tried again.';
      io.stdout.write(
        `${renderSuspension(done)}\nRevoked holds: ${revokedHolds}. Cut connections: ${cutConnections}.${later}\n`,
      );
    }
    return EXIT.ok;
  });
}

function readTarget([kind, name, ...rest]: readonly string[]): Readonly<Record<string, unknown>> {
  if (kind === undefined || rest.length > 0) throw new UsageError('Say what to suspend.');
  if (kind === 'everything') {
    if (name !== undefined) throw new UsageError('Write `suspend everything` without a name.');
    return { everything: true };
  }
  const member = Object.hasOwn(MEMBERS, kind) ? MEMBERS[kind] : undefined;
  if (member === undefined)
    throw new UsageError(
      `There is nothing of this kind. ${suggest(kind, 'Kinds', [...Object.keys(MEMBERS), 'everything'])}`,
    );
  if (name === undefined) throw new UsageError(`Name the ${kind}.`);
  return { [member]: name };
}
