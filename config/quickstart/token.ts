// `npm run -s token -- agent|agent-for-alice|alice|bob|mallory`: prints one token of the running local issuer, and
// nothing else.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestToken, type TokenHolder } from './issuer.ts';
import { readRunning, stateDirOf, urlOf } from './layout.ts';

const HOLDERS: readonly TokenHolder[] = ['agent', 'agent-for-alice', 'alice', 'bob', 'mallory'];

/** A token from the quickstart that runs now. Throws when none does. */
export async function fetchToken(env: NodeJS.ProcessEnv, holder: TokenHolder): Promise<string> {
  const { ports, dataDir } = readRunning(env);
  const secret = readFileSync(join(stateDirOf(dataDir), 'agent-client-secret'), 'utf8').trim();
  return requestToken(urlOf(ports.issuer), holder, secret);
}

async function main(): Promise<number> {
  const holder = HOLDERS.find((known) => known === process.argv[2]);
  if (holder === undefined || process.argv.length > 3) {
    console.error(`Usage: npm run -s token -- ${HOLDERS.join('|')}`);
    return 2;
  }
  console.log(await fetchToken(process.env, holder));
  return 0;
}

if (import.meta.main) {
  main().then(
    (code) => {
      process.exitCode = code;
    },
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
