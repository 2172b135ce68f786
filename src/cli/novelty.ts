// `countersign novelty seed --config FILE --audit DIR`: makes known what the audit log says that agents have done. The
// gateway must not run: this opens its store. Trusts whole lines of the log. What the log does not tell stays new: calls
// that match a resource with a condition, and recipients that stand in a body.

import { parseArgs } from 'node:util';
import { closeHold } from '../approvals/closing.ts';
import { readLine } from '../audit/chain.ts';
import { auditFiles, readLines } from '../audit/folder.ts';
import type { Action } from '../domain/action.ts';
import type { Policy } from '../domain/decision.ts';
import { silentLog } from '../domain/log.ts';
import type { Principal } from '../domain/principal.ts';
import { compilePolicy } from '../policy/policy.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { loadConfigFile } from './config-file.ts';
import { EXIT, type Io, runCommand, UsageError } from './terminal.ts';

export const summary = 'novelty seed --audit DIR       make known what the audit log says that agents have done';

const USAGE = `Usage: countersign novelty seed --config FILE --audit DIR

  --config FILE     the configuration of the gateway, which must not run
  --audit DIR       the folder under audit.path`;

type Recorded = Readonly<Record<string, unknown>>;

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const options = { config: { type: 'string' }, audit: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (positionals.join(' ') !== 'seed' || values.config === undefined || values.audit === undefined)
      throw new UsageError('Write `novelty seed` with --config and --audit.');
    const config = await loadConfigFile(values.config);
    const policy = compilePolicy(config);
    const conditional = new Set(config.resources.flatMap(({ id, when }) => (when === undefined ? [] : [id])));
    const clock = { now: () => Date.now() };
    const store = openSqliteStore({ path: config.store.path, clock, closeHold, log: silentLog });
    let learnt = 0;
    try {
      for await (const { agentKey, action, at } of answeredCalls(values.audit)) {
        const known = recognise(policy, action, conditional);
        const leftMs = at + config.noveltyWindow - clock.now();
        if (known === undefined || leftMs <= 0) continue;
        store.novelty.record(agentKey, known, leftMs);
        learnt += 1;
      }
    } finally {
      await store.close();
    }
    io.stdout.write(`${learnt} answered calls are known now.\n`);
    return EXIT.ok;
  });
}

function recognise(policy: Policy, action: Action, conditional: ReadonlySet<string>) {
  const call = { principal: NOBODY, action, headers: [] };
  const classification = policy.classify(call);
  // Whether its condition was true, the log does not say.
  if (classification.resources.some((id) => conditional.has(id))) return undefined;
  return policy.recognise(call, classification);
}

/** Whom the log names as the caller is no part of what is recognised. */
const NOBODY: Principal = {
  ...{ id: '', issuer: '', subject: '', kind: 'oidc', agentKey: '', issuerName: '', proof: 'jwt' },
  ...{ claims: {}, onBehalfOf: [], expiresAt: 0 },
};

/** The calls of a log that were answered below 400, with the keys of their agents. */
async function* answeredCalls(folder: string) {
  const decided = new Map<string, { readonly agentKey: string; readonly action: Action; readonly at: number }>();
  for (const file of await auditFiles(folder))
    for await (const { bytes } of readLines(folder, file)) {
      const line = readLine(bytes);
      const call = String(line?.call);
      if (line?.type === 'decision' && line.error === undefined) {
        const principal = line.principal as Recorded | undefined;
        const action = line.action as Recorded | undefined;
        if (principal === undefined || action === undefined) continue;
        const agentKey = String(principal.agentKey ?? principal.id);
        decided.set(call, { agentKey, action: actionOf(action), at: Date.parse(line.time) });
      } else if (line?.type === 'outcome') {
        const found = decided.get(call);
        decided.delete(call);
        const passed = line.error === undefined && Number(line.upstreamStatus ?? 400) < 400;
        if (found !== undefined && passed) yield found;
      }
    }
}

/** As far as the log has it: no body, and no query. */
function actionOf({ upstream, authority, method, path, rpc, tool }: Recorded): Action {
  return {
    protocol: rpc === undefined ? 'http' : 'mcp',
    ...{ upstream: String(upstream), authority: String(authority ?? ''), method: String(method) },
    ...{ path: String(path), target: String(path), boundHeaders: [], streamed: true },
    ...(tool !== undefined && { tool: String(tool) }),
    ...(rpc !== undefined && { mcp: { method: String(rpc), stateless: false, streams: false, continues: false } }),
  };
}
