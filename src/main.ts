#!/usr/bin/env node
// The command line: finds the command, gives it the terminal, exits with its code.

import * as audit from './cli/audit.ts';
import * as check from './cli/check.ts';
import * as credentials from './cli/credentials.ts';
import * as exemptions from './cli/exemptions.ts';
import * as facts from './cli/facts.ts';
import * as holds from './cli/holds.ts';
import * as lift from './cli/lift.ts';
import * as notifications from './cli/notifications.ts';
import * as novelty from './cli/novelty.ts';
import * as serve from './cli/serve.ts';
import * as suspend from './cli/suspend.ts';
import type { Io } from './cli/terminal.ts';
import * as whoami from './cli/whoami.ts';
import { suggest } from './settings/suggestions.ts';
import { VERSION } from './version.ts';

interface Command {
  readonly summary: string;
  run(args: string[], io: Io): Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  serve,
  check,
  holds,
  suspend,
  lift,
  facts,
  notifications,
  credentials,
  audit,
  whoami,
  exemptions,
  novelty,
};

const [name = '--help', ...args] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command !== undefined) process.exitCode = await command.run(args, process);
else if (name === '--version') console.log(VERSION);
else {
  const usage = [
    'Usage: countersign COMMAND …',
    '',
    ...Object.values(COMMANDS).map(({ summary }) => `  ${summary}`),
  ].join('\n');
  if (name === '--help') console.log(usage);
  else {
    console.error(`There is no command of this name. ${suggest(name, 'Commands', Object.keys(COMMANDS))}\n\n${usage}`);
    process.exitCode = 2;
  }
}
