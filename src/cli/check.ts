// `countersign check FILE`: prints everything that is wrong with a configuration, with its line, or `ok`. Warnings are
// printed and refuse nothing. Reads secrets and files as `serve` does, and starts nothing.

import { parseArgs } from 'node:util';
import { type ConfigCheck, loadConfig, warningsOf } from '../config/load.ts';
import { checkPolicy } from '../policy/check.ts';
import { ConfigError, formatFaults } from '../settings/faults.ts';
import { warnOfNewAgents } from './new-agents.ts';
import { EXIT, type Io, runCommand, UsageError } from './terminal.ts';

export const summary = 'check FILE                     say what is wrong with a configuration, or ok';

const USAGE = 'Usage: countersign check FILE';

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { positionals } = parseArgs({ args, options: {}, allowPositionals: true });
    const [path, ...rest] = positionals;
    if (path === undefined || rest.length > 0) throw new UsageError('Name one configuration file.');
    try {
      const faults = warningsOf(await loadConfig(path, checkAll));
      if (faults.length > 0) io.stdout.write(`${formatFaults({ file: path, faults })}\n`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      io.stdout.write(`${formatFaults(error)}\n`);
      return EXIT.refused;
    }
    io.stdout.write('ok\n');
    return EXIT.ok;
  });
}

const checkAll: ConfigCheck = (policy, whole) => [
  ...checkPolicy(policy),
  ...(whole === undefined ? [] : warnOfNewAgents(whole)),
];
