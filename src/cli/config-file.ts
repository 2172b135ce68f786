// The configuration file that a command names. Its faults are a refusal with one line for each, never a stack trace.

import { type ConfigCheck, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { ConfigError, formatFaults } from '../settings/faults.ts';
import { CommandError } from './terminal.ts';

/** Throws CommandError with every fault of the file. */
export async function loadConfigFile(path: string, check?: ConfigCheck): Promise<Config> {
  try {
    return await loadConfig(path, check);
  } catch (error) {
    throw error instanceof ConfigError ? new CommandError(formatFaults(error)) : error;
  }
}
