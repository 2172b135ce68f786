// `npm start`: everything that the tour needs, on 127.0.0.1. A real issuer, a real ledger behind it, the MCP reference
// server, a receiver for traces, and the gateway itself as it is run anywhere, with config/quickstart.yaml. For trying
// things out; nothing here is for production.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Child, startChild } from './child.ts';
import { startQuickstartIssuer } from './issuer.ts';
import {
  choosePorts,
  DEFAULT_PORTS,
  dataDirOf,
  deskUrlOf,
  type Ports,
  ROOT,
  type Running,
  stateDirOf,
  urlOf,
} from './layout.ts';
import { startLedger } from './ledger.ts';
import { startTraceLog } from './traces.ts';

const CONFIG = join(ROOT, 'config/quickstart.yaml');

export interface Quickstart {
  readonly running: Running;
  /** Resolves when the gateway or the MCP server has ended by itself. */
  readonly broken: Promise<string>;
  close(): Promise<void>;
}

/** Starts every part; `say` gets a line per part. What was started is ended again when a later part fails. */
export async function startQuickstart(env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<Quickstart> {
  const ports = await choosePorts(env);
  const dataDir = dataDirOf(env);
  const stateDir = stateDirOf(dataDir);
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const running: Running = { ports, dataDir, configPath: placeConfig(ports, dataDir) };
  const runningPath = join(stateDir, 'running.json');

  // Ended in the opposite order: the gateway first, while the issuer is still there to take credentials back.
  const parts: { close(): Promise<unknown> }[] = [];
  const close = async () => {
    for (const part of parts.splice(0).reverse()) await part.close();
  };
  try {
    const issuer = await startQuickstartIssuer({
      port: ports.issuer,
      dataDir: stateDir,
      gatewayAudience: urlOf(DEFAULT_PORTS.agents),
      ledgerAudience: urlOf(DEFAULT_PORTS.ledger),
      deskUrl: deskUrlOf(ports.reviewers),
    });
    parts.push(issuer);
    say(`issuer     ${issuer.issuer} (agents, and reviewers alice and bob of group finance, and mallory of none)`);
    const ledger = await startLedger({
      port: ports.ledger,
      issuer: issuer.issuer,
      audience: urlOf(DEFAULT_PORTS.ledger),
      client: issuer.clients.ledger,
      onCall: ({ method, target, status }) => say(`ledger     ${method} ${target} ${status}`),
    });
    parts.push(ledger);
    say(`ledger     ${ledger.url}`);
    const tools = await startTools(ports.tools, join(stateDir, 'tools.log'));
    parts.push({ close: tools.stop });
    say(`tools      ${urlOf(ports.tools)}/mcp (the MCP reference server)`);
    const telemetry = await startTelemetry(env, ports.traces, join(stateDir, 'traces.log'), say);
    parts.push(telemetry);
    const gateway = await startGateway(running, { ...env, ...telemetry.env });
    parts.push({ close: gateway.stop });
    say(
      `gateway    agents ${urlOf(ports.agents)}, reviewers ${deskUrlOf(ports.reviewers)}, operators ${urlOf(ports.ops)}`,
    );
    writeFileSync(runningPath, JSON.stringify(running));
    parts.push({ close: async () => rmSync(runningPath, { force: true }) });
    const broken = Promise.race([
      gateway.ended.then((how) => `the gateway ended: ${how}`),
      tools.ended.then((how) => `the MCP server ended: ${how}`),
    ]);
    return { running, broken, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The configuration as it is, or with the ports and folders that were asked for. */
function placeConfig(ports: Ports, dataDir: string): string {
  if (dataDir === join(ROOT, 'data') && JSON.stringify(ports) === JSON.stringify(DEFAULT_PORTS)) return CONFIG;
  let text = readFileSync(CONFIG, 'utf8').replaceAll('../data', dataDir);
  for (const [part, port] of Object.entries(DEFAULT_PORTS)) {
    // Audiences are names, not addresses: they stay as they are.
    text = text.replace(
      new RegExp(`(?<!audience:.*)(127\\.0\\.0\\.1|localhost):${port}\\b`, 'g'),
      `$1:${ports[part as keyof Ports]}`,
    );
  }
  const path = join(stateDirOf(dataDir), 'countersign.yaml');
  writeFileSync(path, text);
  return path;
}

function startTools(port: number, logPath: string): Promise<Child> {
  const entry = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
  return startChild({
    name: 'The MCP reference server',
    args: ['--import', pathToFileURL(join(import.meta.dirname, 'loopback.ts')).href, entry, 'streamableHttp'],
    cwd: dirname(entry),
    // It has a tool that shows its environment: it gets an empty one.
    env: { PORT: String(port) },
    logPath,
    isReady: (line) => line.includes(`listening on port ${port}`),
  });
}

async function startTelemetry(env: NodeJS.ProcessEnv, port: number, path: string, say: (line: string) => void) {
  const given = env.OTEL_EXPORTER_OTLP_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  if (given !== undefined || env.OTEL_SDK_DISABLED === 'true') {
    say(`traces     go where the OTEL_* variables say`);
    return { env: {}, close: async () => {} };
  }
  const log = await startTraceLog(port, path);
  say(`traces     ${path}`);
  return {
    // Every call is shown here, and soon; elsewhere sampling and batching are left as they are.
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: log.endpoint,
      OTEL_TRACES_SAMPLER: 'always_on',
      OTEL_BSP_SCHEDULE_DELAY: '500',
    },
    close: log.close,
  };
}

function startGateway(running: Running, env: NodeJS.ProcessEnv): Promise<Child> {
  return startChild({
    name: 'The gateway',
    args: [join(ROOT, 'src/main.ts'), 'serve', '--config', running.configPath],
    cwd: ROOT,
    env,
    logPath: join(stateDirOf(running.dataDir), 'gateway.log'),
    isReady: (line) => line.includes('"event":"ready"'),
  });
}

function tour({ ports, dataDir, configPath: absolute }: Running): string {
  const configPath = relative(ROOT, absolute);
  const agents = urlOf(ports.agents);
  const bearer = `-H "Authorization: Bearer $(npm run -s token -- agent)"`;
  return `
Everything is ready. Ctrl-C stops it; what is pending stays, and is there again after the next start.
Copy these into a second terminal, in this folder.

1. A read that the rules allow:
   curl -s ${agents}/ledger/accounts ${bearer}

2. A transfer. It is held for a person of group finance: curl waits.
   curl -si ${agents}/ledger/transfers ${bearer} \\
     -H 'Content-Type: application/json' -d '{"from":"operations","to":"suppliers","amount":1200,"currency":"EUR"}'

3. Open ${deskUrlOf(ports.reviewers)} and sign in as Alice Archer: see it whole, and approve it. Or in a third terminal:
   export COUNTERSIGN_TOKEN=$(npm run -s token -- alice) COUNTERSIGN_URL=${urlOf(ports.reviewers)}
   npm run -s countersign -- holds list
   npm run -s countersign -- holds approve HOLD_ID
   (Without the variable, add --config ${configPath} and sign in with your browser.)

4. What it left behind: the answer in the second terminal, the traces, and the record.
   tail -n 12 ${join(stateDirOf(dataDir), 'traces.log')}
   npm run -s countersign -- audit verify ${join(dataDir, 'audit')}

Or let "npm run tour" play the agent.
`;
}

async function main(): Promise<void> {
  // Listened to from the first moment on: a default Ctrl-C would end this process and leave its children.
  const asked = new Promise<undefined>((resolve) => {
    // npm passes on the Ctrl-C that this process gets from the terminal as well: further ones change nothing.
    process.on('SIGINT', () => resolve(undefined));
    process.on('SIGTERM', () => resolve(undefined));
    whenNpmIsGone(() => resolve(undefined));
  });
  const quickstart = await startQuickstart(process.env, (line) => console.log(line));
  console.log(tour(quickstart.running));
  const why = await Promise.race([quickstart.broken, asked]);
  console.log(why === undefined ? '\nStopping.' : `\n${why}: see ${stateDirOf(quickstart.running.dataDir)}. Stopping.`);
  await quickstart.close();
  process.exitCode = why === undefined ? 0 : 1;
}

/** npm that is ended by anything but Ctrl-C tells nobody: its script is left behind, with another parent. */
function whenNpmIsGone(callback: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    callback();
  }, 500).unref();
}

if (import.meta.main) {
  main().catch((error: NodeJS.ErrnoException) => {
    const hint =
      error.code === 'EADDRINUSE'
        ? ' Something listens there already: another quickstart? QUICKSTART_<PART>_PORT moves a part.'
        : '';
    console.error(`The quickstart did not start: ${error.message}.${hint}`);
    process.exitCode = 1;
  });
}
