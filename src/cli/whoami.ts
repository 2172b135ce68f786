// `countersign whoami`: says step by step how the gateway judges a token, with the gateway's own configuration and
// verifier. It reads the token from a variable, a file or standard input, so that the token leaves no trace, and never
// prints it.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { identityOptions } from '../assembly/compile.ts';
import { systemClock } from '../domain/clock.ts';
import { silentLog } from '../domain/log.ts';
import { noMetrics } from '../domain/metrics.ts';
import type { Principal } from '../domain/principal.ts';
import type { InboundRequest } from '../domain/request.ts';
import { visible } from '../domain/visible-text.ts';
import { GatewayError } from '../errors.ts';
import { createIdentity } from '../identity/identity.ts';
import { type ExplainedStep, explainSteps } from '../identity/tokens/explain.ts';
import { loadConfigFile } from './config-file.ts';
import { CommandError, EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary = 'whoami --config FILE           say step by step why a token is accepted or refused';

const USAGE = `Usage: countersign whoami --config FILE [--token env:NAME | file:PATH | -] [--json]

Without --token, the token is read from COUNTERSIGN_TOKEN, or else from standard input.
Exit code 0: accepted; 1: refused, or it cannot be read.`;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { values } = parseArgs({
      args,
      options: { config: { type: 'string' }, token: { type: 'string' }, json: { type: 'boolean', default: false } },
    });
    if (values.config === undefined) throw new UsageError('Name the configuration file: --config FILE.');
    const token = await readToken(values.token, io);
    const verdict = await judge(values.config, token);
    if (values.json) printJson(io, verdict);
    else io.stdout.write(`${render(verdict).join('\n')}\n`);
    return verdict.principal === undefined ? EXIT.refused : EXIT.ok;
  });
}

async function readToken(named: string | undefined, io: Io): Promise<string> {
  const token = await readNamed(named, io);
  if (token === undefined || token.trim() === '')
    throw new CommandError(
      'There is no token. Set COUNTERSIGN_TOKEN, use --token, or send the token to standard input.',
    );
  return token.trim();
}

async function readNamed(named: string | undefined, { env, stdin, stderr }: Io): Promise<string | undefined> {
  if (named?.startsWith('env:')) return env[named.slice(4)];
  if (named?.startsWith('file:')) return readTokenFile(named.slice(5));
  if (named !== undefined && named !== '-') {
    stderr.write(
      'Every process of this host can see a token on the command line. Use --token env:NAME, --token file:PATH or standard input.\n',
    );
    return named;
  }
  if (named === undefined && env.COUNTERSIGN_TOKEN !== undefined) return env.COUNTERSIGN_TOKEN;
  let text = '';
  for await (const chunk of stdin) text += String(chunk);
  return text;
}

function readTokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new CommandError('The file of the token cannot be read.');
  }
}

interface Verdict {
  readonly steps: readonly ExplainedStep[];
  readonly principal?: Principal;
  readonly refused?: { readonly code: string; readonly check?: unknown; readonly detail: string };
  /** Issuers and trust domains whose keys cannot be fetched, and why. */
  readonly unreachable: readonly { readonly issuer: string; readonly reason: string }[];
}

async function judge(configPath: string, token: string): Promise<Verdict> {
  const config = await loadConfigFile(configPath);
  const identity = createIdentity(
    { ...identityOptions(config), tokenHeaderFor: () => undefined },
    { clock: systemClock, log: silentLog, metrics: noMetrics },
  );
  try {
    await identity.start();
    const unreachable = identity
      .status()
      .flatMap(({ name, lastError }) => (lastError === undefined ? [] : [{ issuer: name, reason: lastError }]));
    try {
      const { principal } = await identity.identify(requestWith(token));
      return { steps: explainSteps(undefined), principal, unreachable };
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      const { code, detail, details } = thrown;
      return { steps: explainSteps(thrown), refused: { code, check: details.members?.check, detail }, unreachable };
    }
  } finally {
    identity.close();
  }
}

/** A call that carries the token and nothing else. */
function requestWith(token: string): InboundRequest {
  return {
    ...{ id: 'whoami', receivedAt: systemClock.now(), method: 'GET', target: '/', mount: '', path: '/' },
    headers: ['authorization', `Bearer ${token}`],
    body: { empty: true, buffer: async () => new Uint8Array(), async *stream() {} },
    peer: { address: '' },
    onClosed: () => () => {},
  };
}

const MARKS: Readonly<Record<ExplainedStep['outcome'], string>> = { holds: 'yes', fails: 'NO ', 'not reached': ' - ' };

function render({ steps, principal, refused, unreachable }: Verdict): string[] {
  const lines = steps.map(({ title, outcome }) => `${MARKS[outcome]}  ${title}`);
  if (refused !== undefined) lines.push('', `refused: ${refused.code} (${String(refused.check)})`, refused.detail);
  for (const { issuer, reason } of unreachable) lines.push(`keys of ${issuer}: ${reason}`);
  if (principal === undefined) return lines;
  const { id, agentKey, person, issuerName, proof, onBehalfOf, expiresAt } = principal;
  const facts = [
    ['principal', id],
    ...(agentKey === id ? [] : [['one agent', agentKey]]),
    ...(person === undefined ? [] : [['person', person]]),
    ['vouched for by', issuerName],
    ['proof', proof],
    ...onBehalfOf.flatMap((party) => [
      ['on behalf of', party.id],
      ...(party.person === undefined ? [] : [['  person', party.person]]),
    ]),
    ['until', new Date(expiresAt).toISOString()],
  ];
  return [...lines, '', ...facts.map(([name = '', value = '']) => `${`${name}:`.padEnd(16)}${visible(value).text}`)];
}
