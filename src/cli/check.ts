// `countersign check FILE`: prints everything that is wrong with a configuration, with its line, or `ok`. Warnings are
// printed and refuse nothing. Reads secrets and files as `serve` does, and starts nothing. Only `--online` asks the
// network.

import { parseArgs } from 'node:util';
import { type ConfigCheck, loadConfig, warningsOf } from '../config/load.ts';
import { checkPolicy } from '../policy/check.ts';
import { ConfigError, formatFaults } from '../settings/faults.ts';
import { warnOfNewAgents } from './new-agents.ts';
import { sharedAddresses } from './sandbox-addresses.ts';
import { EXIT, type Io, runCommand, UsageError } from './terminal.ts';

export const summary = 'check FILE                     say what is wrong with a configuration, or ok';

const USAGE = `Usage: countersign check FILE [--online]

  --online          resolve the names of upstreams too: a sandbox must not lead where another upstream does`;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const options = { online: { type: 'boolean', default: false } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [path, ...rest] = positionals;
    if (path === undefined || rest.length > 0) throw new UsageError('Name one configuration file.');
    try {
      const config = await loadConfig(path, checkAll);
      const faults = warningsOf(config);
      if (faults.length > 0) io.stdout.write(`${formatFaults({ file: path, faults })}\n`);
      const shared = values.online ? await sharedAddresses(config) : [];
      for (const fault of shared) io.stdout.write(`${path} ${fault}\n`);
      if (shared.length > 0) return EXIT.refused;
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
