// `countersign serve --config FILE`: the gateway in the foreground, until SIGTERM or SIGINT. SIGHUP has it read its
// configuration again.

import { parseArgs } from 'node:util';
import { type Gateway, startGateway } from '../assembly/gateway.ts';
import { GatewayError } from '../errors.ts';
import { ConfigError, formatFaults } from '../settings/faults.ts';
import { CommandError, EXIT, type Io, runCommand, UsageError } from './terminal.ts';

export const summary = 'serve --config FILE            run the gateway';

const USAGE = 'Usage: countersign serve --config FILE';

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { values } = parseArgs({ args, options: { config: { type: 'string' } } });
    if (values.config === undefined) throw new UsageError('Name the configuration file: --config FILE.');
    let gateway: Gateway | undefined;
    // From the first moment on: a reload that comes too early must not end the process.
    process.on('SIGHUP', () => gateway?.reload());
    gateway = await start(values.config);
    const code = await untilTold(gateway);
    await gateway.close();
    return code;
  });
}

/**
 * Resolves with the exit code when the process is to end. An exception that nobody caught ends it too, but in order:
 * calls that are sent are answered and recorded before the exit.
 */
function untilTold(gateway: Gateway): Promise<number> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve(EXIT.ok));
    process.once('SIGINT', () => resolve(EXIT.ok));
    const escaped = (thrown: unknown): void => {
      gateway.fault(thrown);
      resolve(EXIT.fault);
    };
    process.on('uncaughtException', escaped);
    process.on('unhandledRejection', escaped);
  });
}

async function start(path: string) {
  try {
    return await startGateway(path);
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw new CommandError(formatFaults(thrown));
    if (thrown instanceof GatewayError) throw new CommandError(`${thrown.code}: ${thrown.detail}`);
    if (isSystemFault(thrown)) throw new CommandError(`The gateway cannot start: ${thrown.message}`);
    throw thrown;
  }
}

/** An address in use, a folder that cannot be made: an operator can put it right, and needs no stack trace. */
function isSystemFault(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && typeof (thrown as NodeJS.ErrnoException).syscall === 'string';
}
