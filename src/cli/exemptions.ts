// `countersign exemptions FILE`: which calls pass without the approval that they would need, why, who answers for it, and
// for how long.

import { parseArgs } from 'node:util';
import { visible } from '../domain/visible-text.ts';
import { loadConfigFile } from './config-file.ts';
import { EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary = 'exemptions FILE                which rules exempt calls, why, by whom, and until when';

const USAGE = `Usage: countersign exemptions FILE [--json]

  --json            print the entries as JSON`;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const options = { json: { type: 'boolean', default: false } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [path, ...rest] = positionals;
    if (path === undefined || rest.length > 0) throw new UsageError('Name one configuration file.');
    const { rules } = await loadConfigFile(path);
    const now = Date.now();
    const entries = rules.flatMap(({ id, exempt }) =>
      exempt === undefined ? [] : [{ rule: id, ...exempt, ended: Date.parse(exempt.until) <= now }],
    );
    if (values.json) printJson(io, entries);
    else
      for (const { rule, until, ended, maintainer, because } of entries)
        io.stdout.write(
          `${rule}  ${ended ? 'ended' : 'until'} ${until}  ${visible(maintainer).text}  ${visible(because).text}\n`,
        );
    if (entries.length === 0 && !values.json) io.stderr.write('No rule exempts anything.\n');
    return EXIT.ok;
  });
}
