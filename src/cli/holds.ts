// `countersign holds …`: shows what waits for a decision and decides on it, over the reviewers' API. Before a vote it
// shows the whole action; the vote carries the binding digest of exactly what was shown, so a hold that has changed since
// then is not decided.

import { parseArgs } from 'node:util';
import { whyNotWhole } from '../domain/whole.ts';
import { suggest } from '../settings/suggestions.ts';
import { CONNECTION_OPTIONS, CONNECTION_USAGE, connect } from './connect.ts';
import { columnsOf } from './fold-lines.ts';
import { renderHold, renderLine, shortCode } from './render-hold.ts';
import { ApiError, type ReviewClient, type ShownHold } from './review-client.ts';
import type { TerminalSignIn } from './sign-in.ts';
import { ask, CommandError, EXIT, type Io, printJson, runCommand, UsageError } from './terminal.ts';

export const summary =
  'holds list|show|approve|deny   see what waits for a decision, and decide (or revoke an approval)';

const USAGE = `Usage: countersign holds list [--state pending|approved|…|all]
       countersign holds show ID
       countersign holds approve|deny|revoke ID [--reason TEXT] [--yes]

${CONNECTION_USAGE}
  --json            print what the API answered (list, show)
  --yes             decide without asking; needed where nobody can answer`;

const OPTIONS = {
  ...CONNECTION_OPTIONS,
  state: { type: 'string', default: 'pending' },
  reason: { type: 'string' },
  json: { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
} as const;

const VERBS = ['list', 'show', 'approve', 'deny', 'revoke'];

type HoldsArguments = ReturnType<typeof parse>['values'];

const parse = (args: string[]) => parseArgs({ args, options: OPTIONS, allowPositionals: true });

export function run(args: string[], io: Io): Promise<number> {
  return runCommand(io, USAGE, async () => {
    const { values, positionals } = parse(args);
    const [verb, id, ...rest] = positionals;
    if (verb === undefined || rest.length > 0 || (verb === 'list') !== (id === undefined))
      throw new UsageError('Write `list`, or one of `show`, `approve`, `deny` and `revoke` with the id of one hold.');
    const { client, signIn } = await connect(values, io);
    switch (verb) {
      case 'list':
        return list(client, values, io);
      case 'show':
        return show(await client.get(id as string), values, io);
      case 'approve':
      case 'deny':
      case 'revoke':
        return decide(client, signIn, await client.get(id as string), verb, values, io);
      default:
        throw new UsageError(`There is no command \`holds ${verb}\`. ${suggest(verb, 'Commands', VERBS)}`);
    }
  });
}

async function list(client: ReviewClient, values: HoldsArguments, io: Io): Promise<number> {
  const holds: ShownHold[] = [];
  let after: string | undefined;
  do {
    const page = await client.list(values.state, after);
    holds.push(...page.holds);
    after = page.next;
  } while (after !== undefined);
  if (values.json) printJson(io, holds);
  else for (const hold of holds) print(io, renderLine(hold, columnsOf(io)));
  if (holds.length === 0 && !values.json)
    io.stderr.write(values.state === 'all' ? 'There is no hold.\n' : `No hold is ${values.state}.\n`);
  return EXIT.ok;
}

function show(hold: ShownHold, values: HoldsArguments, io: Io): number {
  if (values.json) printJson(io, hold);
  else print(io, renderHold(hold, columnsOf(io)).trimEnd());
  return EXIT.ok;
}

type Verb = 'approve' | 'deny' | 'revoke';
const DONE: Readonly<Record<Verb, string>> = { approve: 'Approved', deny: 'Denied', revoke: 'Revoked' };

async function decide(
  client: ReviewClient,
  signIn: TerminalSignIn,
  hold: ShownHold,
  verb: Verb,
  values: HoldsArguments,
  io: Io,
): Promise<number> {
  show(hold, { ...values, json: false }, io);
  if (!hold.youMay[verb]) throw new CommandError(`You may not ${verb} this hold. ${hold.youMay.why ?? ''}`.trimEnd());
  const fault = whyNotWhole(hold.action);
  if (fault !== undefined && verb === 'approve')
    throw new CommandError(`This hold cannot be shown whole, so it cannot be approved here. ${fault}`);
  const reason = await reasonFor(hold, verb, values, io);
  await confirm(hold, verb, values, io);
  const now =
    verb === 'revoke'
      ? await client.revoke(hold.id, reason)
      : await vote(client, signIn, hold, {
          decision: verb,
          bindingDigest: hold.bindingDigest,
          ...(reason && { reason }),
        });
  print(io, `\n${DONE[verb]}: ${now.id} is now ${now.state}, with ${now.votes.length} vote(s).`);
  return EXIT.ok;
}

async function reasonFor(hold: ShownHold, verb: Verb, values: HoldsArguments, io: Io): Promise<string | undefined> {
  if (values.reason?.trim() || !hold.requirements.some((need) => need.reasonRequired)) return values.reason?.trim();
  if (values.yes || !io.stdin.isTTY) throw new UsageError('This tier asks for a reason: add --reason TEXT.');
  const reason = await ask(io, `\nWhy do you ${verb} it? `);
  if (reason === '') throw new CommandError('Nothing was decided: this tier asks for a reason.');
  return reason;
}

/** Whoever types the beginning of the digest has looked at this hold, and not at another one. */
async function confirm(hold: ShownHold, verb: Verb, values: HoldsArguments, io: Io): Promise<void> {
  if (values.yes) return;
  if (!io.stdin.isTTY) throw new UsageError('Nobody can be asked here: add --yes to decide without asking.');
  const typed = await ask(io, `\nType ${shortCode(hold)} to ${verb} exactly this: `);
  if (typed.toLowerCase() !== shortCode(hold)) throw new CommandError('Nothing was decided: the code does not match.');
}

const TOO_WEAK: readonly string[] = ['step_up_required', 'assurance_required'];

/** For a tier that asks for more proof: signs in once, as strongly as the API asks. Otherwise the page can do it. */
async function vote(
  client: ReviewClient,
  signIn: TerminalSignIn,
  hold: ShownHold,
  ballot: Parameters<ReviewClient['vote']>[1],
): Promise<ShownHold> {
  try {
    return await client.vote(hold.id, ballot);
  } catch (error) {
    if (!(error instanceof ApiError) || !TOO_WEAK.includes(error.code)) throw error;
    const elsewhere = `decide on the page: ${error.page ?? client.pageOf(hold.id)}`;
    if (error.needsPasskey) throw new CommandError(`${error.message}\nOnly there a passkey can be used: ${elsewhere}`);
    try {
      if (!(await signIn.again(error.acrValues))) throw error;
      return await client.vote(hold.id, ballot);
    } catch (again) {
      throw again instanceof CommandError
        ? new CommandError(`${again.message}\nA fresh sign-in is needed; or ${elsewhere}`)
        : again;
    }
  }
}

function print(io: Io, text: string): void {
  io.stdout.write(`${text}\n`);
}
