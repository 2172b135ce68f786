// `countersign audit verify PATH`: checks an audit folder, or one file of it. Needs no running gateway and changes
// nothing.

import { parseArgs } from 'node:util';
import { formatReport } from '../audit/report.ts';
import { verifyAudit } from '../audit/verify.ts';
import { CommandError, EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary = 'audit verify PATH              check that the record is whole and in order';

const USAGE = `Usage: countersign audit verify PATH [--json]

PATH is the folder under audit.path, or one file of it. Exit code 0: no fault; 1: faults, or it cannot be read.`;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { values, positionals } = parseArgs({
      args,
      options: { json: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const [verb, path, ...rest] = positionals;
    if (verb !== 'verify' || path === undefined || rest.length > 0)
      throw new UsageError('Write `audit verify` and one folder or file.');
    const report = await verifyAudit(path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === undefined ? error : new CommandError(`The audit log cannot be read (${error.code}).`);
    });
    if (values.json) printJson(io, report);
    else io.stdout.write(`${formatReport(report).join('\n')}\n`);
    return report.ok ? EXIT.ok : EXIT.refused;
  });
}
