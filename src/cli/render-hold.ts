// A hold on a terminal: the whole action, never cut. What the gateway knows stands apart from what the agent wrote.
// Every line with the agent's words begins with a bar, so those words cannot look like the gateway's, and invisible
// characters in them are made visible. Lines are folded here, never by the terminal: a folded line keeps its bar, or a
// margin that no title and no fact has.

import { assuranceWords } from '../domain/assurance.ts';
import { WHY } from '../domain/decision.ts';
import { defined } from '../domain/defined.ts';
import { OWNER } from '../domain/tier.ts';
import { toolDiff } from '../domain/tool-diff.ts';
import { visible, visibleLines } from '../domain/visible-text.ts';
import { whyNotWhole } from '../domain/whole.ts';
import { foldLine } from './fold-lines.ts';
import type { ShownHold } from './review-client.ts';

/** Columns; on a narrower terminal, margins take too much of the line. */
const NARROW = 40;

/** What a reviewer types to confirm: the beginning of the digest that the vote is bound to. */
export const shortCode = (hold: ShownHold): string => hold.bindingDigest.slice(0, 6);

/** One entry of a list, which is not enough to decide on. What does not fit into the line is indented. */
export function renderLine(hold: ShownHold, columns: number): string {
  const { action, principal } = hold;
  const what =
    action.tool === undefined
      ? `${action.method} ${action.upstream} ${action.target}`
      : `${action.upstream} ${action.tool}`;
  const who = principal.name ?? principal.client ?? principal.id;
  const line = visible(`${hold.id}  ${hold.state}  decide before ${hold.deadline}  ${what}  by ${who}`).text;
  return foldLine(line, { head: '', hang: columns < NARROW ? ' > ' : '    ', columns }).join('\n');
}

/** Everything that a decision needs, ending with a line feed; no line is as wide as the terminal. */
export function renderHold(hold: ShownHold, columns: number): string {
  const sheet = createSheet(columns);
  sheet.title(`Hold ${hold.id}: ${hold.state}`);
  renderFacts(sheet, hold);
  renderCall(sheet, hold);
  renderToolChange(sheet, hold.action);
  renderTask(sheet, hold);
  renderVotes(sheet, hold);
  sheet.title('Decide');
  sheet.fact('before', hold.deadline);
  sheet.fact('code', shortCode(hold));
  const may = (['approve', 'deny', 'revoke'] as const).filter((what) => hold.youMay[what]);
  sheet.fact('you may', [may.join(', ') || 'only look', hold.youMay.why].filter(Boolean).join('. '));
  return sheet.text();
}

function renderFacts(sheet: Sheet, hold: ShownHold): void {
  const { action, principal, credential } = hold;
  sheet.title('What the gateway knows');
  sheet.fact('would do', `${action.method} ${action.target}`);
  sheet.fact('at', `${action.upstream} (${action.authority})`);
  if (action.tool !== undefined) sheet.fact('tool', action.tool);
  if (action.upgrade !== undefined) {
    sheet.fact('opens', 'a WebSocket, for the whole session: what follows passes unseen');
    sheet.fact('subprotocols', action.upgrade.subprotocols.join(', ') || 'none offered');
    sheet.fact('extensions', action.upgrade.extensions.join(', ') || 'none offered');
  }
  sheet.fact('asked by', `${principal.id} (${principal.kind})`);
  if (principal.agentKey !== undefined) sheet.fact('one agent', principal.agentKey);
  if (principal.spiffeId !== undefined) sheet.fact('workload', principal.spiffeId);
  if (principal.name !== undefined) sheet.fact('named', `${principal.name} (by its issuer)`);
  if (principal.client !== undefined) sheet.fact('client', principal.client);
  if (principal.person !== undefined) sheet.fact('person', principal.person);
  for (const { id, person } of principal.onBehalfOf)
    sheet.fact('for', person === undefined ? id : `${id}, person ${person}`);
  for (const owner of principal.owners) sheet.fact('owner', owner);
  if (credential !== undefined) sheet.fact('armed with', `${credential.name} ${JSON.stringify(credential.scope)}`);
  if (hold.data !== undefined) sheet.fact('data', hold.data);
  if (hold.reversible !== undefined) sheet.fact('reversible', hold.reversible ? 'yes' : 'NO');
  renderClassification(sheet, hold);
  renderBefore(sheet, hold);
  // A newer gateway may send a word that is unknown here.
  const reasons: Readonly<Record<string, string>> = WHY;
  for (const { id, effect, why, maintainer } of hold.rules) {
    const kept = maintainer === undefined ? '' : `, kept by ${maintainer}`;
    sheet.fact('rule', `${id}: ${effect}${why === 'matched' ? '' : ` (${reasons[why] ?? why})`}${kept}`);
  }
  for (const need of hold.requirements) {
    const extras = [
      ...proofOf(need),
      ...(need.reasonRequired ? ['reason'] : []),
      ...(need.bindSession ? ['used in the session that asked'] : []),
    ].map((extra) => `, ${extra}`);
    const people = `${need.from?.includes(OWNER) ? 'the owners, ' : ''}${need.reviewers.join(', ')}`;
    sheet.fact('needs', `${need.count} of ${people} (${need.tier}${extras.join('')})`);
    if (need.escalate !== undefined)
      sheet.fact(
        'escalation',
        `${need.escalate.to.join(', ')} as well, ${need.escalate.inForce ? 'since' : 'from'} ${need.escalate.at}`,
      );
  }
  sheet.fact('asked at', hold.createdAt);
  sheet.fact('digest', hold.bindingDigest);
  if (hold.useBy !== undefined) sheet.fact('use before', hold.useBy);
  if (hold.outcomeStatus !== undefined) sheet.fact('outcome', `the upstream answered ${hold.outcomeStatus}`);
  if (hold.endedBecause !== undefined) sheet.fact('ended', hold.endedBecause);
}

/** What the configuration says that the call is, and where it leads. */
function renderClassification(sheet: Sheet, { facts }: ShownHold): void {
  if (facts === undefined) return;
  sheet.fact('operation', facts.operation);
  if (facts.environment !== undefined) sheet.fact('environment', facts.environment);
  if (facts.resources.length > 0) sheet.fact('touches', facts.resources.join(', '));
  const owners = [...new Set(facts.owners.flat())];
  if (owners.length > 0) sheet.fact('answered for', owners.join(', '));
  for (const { value, host, trust, role } of facts.destinations ?? [])
    sheet.fact(role === 'target' ? 'goes to' : 'mentions', `${host ?? value} (${trust})`);
  if (facts.destinationsUnknown !== undefined) sheet.fact('and more', 'places that could not all be found');
}

/** What the caller has read, what was counted, and what happens for the first time. */
function renderBefore(sheet: Sheet, { facts }: ShownHold): void {
  for (const { taint, scope, key, until, cause } of facts?.marks ?? [])
    sheet.fact(
      'marked',
      `${taint}, ${scope} ${key}: ${cause.resources.join(', ')} was read at ${cause.at}; until ${until}`,
    );
  for (const [name, count] of Object.entries(facts?.meters ?? {}))
    sheet.fact('counted', `${name}: ${count} with this call`);
  for (const what of facts?.novel ?? []) sheet.fact('first time', `novel.${what}`);
}

function proofOf({ stepUp, assurance }: ShownHold['requirements'][number]): readonly string[] {
  if (assurance === undefined) return stepUp ? ['fresh sign-in'] : [];
  const { passkey, acr, maxAgeSeconds } = assurance;
  const maxAgeMs = maxAgeSeconds && maxAgeSeconds * 1000;
  return assuranceWords(defined({ passkey, acr, maxAgeMs }));
}

function renderCall(sheet: Sheet, { action }: ShownHold): void {
  sheet.title('What would be sent, written by the agent');
  for (const { name, value } of action.headers) sheet.words(`${name}: ${value}`);
  if (action.leftBehind !== undefined) sheet.words(`fields that do not go along: ${action.leftBehind.join(', ')}`);
  if (action.tool !== undefined && action.args !== undefined) {
    sheet.fact('arguments', '');
    sheet.words(JSON.stringify(action.args, null, 2));
  }
  const type = action.contentType === undefined ? '' : `, ${action.contentType}`;
  sheet.fact('body', `${action.bodyLength} bytes${type}`);
  if (action.bodyText !== undefined) sheet.words(action.bodyText);
  const dropped = action.bodyKept === false;
  if (dropped) sheet.fact('body', `not kept any more; its digest was ${action.bodyDigest}`);
  const fault = dropped ? undefined : whyNotWhole(action);
  if (fault !== undefined) sheet.fact('WARNING', fault);
}

/** For a tool whose definition differs from the pinned one: what its server changed. */
function renderToolChange(sheet: Sheet, { toolChange }: ShownHold['action']): void {
  if (toolChange === undefined) return;
  sheet.title('The tool’s definition changed, in words of its server');
  for (const line of toolDiff(toolChange.pinned, toolChange.now)) sheet.words(line);
}

function renderTask(sheet: Sheet, { task }: ShownHold): void {
  if (task === undefined) return;
  sheet.title('What the agent says it is doing');
  sheet.words(task.objective ?? task.heading);
  if (task.objective === undefined) sheet.fact('task', 'the rest of its words is not kept any more');
  for (const [index, step] of task.plan.entries()) sheet.words(`${index + 1}. ${step}`);
  if (task.prompt !== undefined) sheet.words(`prompt: ${task.prompt}`);
  if (task.endsBy !== undefined) sheet.fact('task ends by', task.endsBy);
  if (task.labels.length > 0) sheet.words(`labels: ${task.labels.join(', ')}`);
  sheet.fact('task', `${task.id}, revision ${task.revision}`);
  for (const call of task.calls)
    sheet.fact('before', `${call.at} ${call.method} ${call.upstream} ${call.tool ?? call.path}: ${call.decision}`);
}

function renderVotes(sheet: Sheet, { votes }: ShownHold): void {
  if (votes.length === 0) return;
  sheet.title('Votes');
  for (const vote of votes) {
    sheet.fact(vote.decision, `${vote.reviewer.name ?? vote.reviewer.id} at ${vote.at}`);
    if (vote.reason !== undefined) sheet.words(vote.reason);
  }
}

interface Sheet {
  title(text: string): void;
  /** A named value; one line, whatever is in it. */
  fact(name: string, value: string): void;
  /** Other people's words, complete, every line behind a bar. */
  words(text: string): void;
  text(): string;
}

function createSheet(columns: number): Sheet {
  const lines: string[] = [];
  const narrow = columns < NARROW;
  const bar = narrow ? '│' : '  │ ';
  const hang = narrow ? '  > ' : ' '.repeat(14);
  const fold = (text: string, head: string, hanging: string) => foldLine(text, { head, hang: hanging, columns });
  let made = 0;
  return {
    title(text) {
      if (lines.length > 0) lines.push('');
      lines.push(...fold(visible(text).text, '', ' '));
    },
    fact(name, value) {
      const shown = visible(value);
      made += shown.made;
      const head = narrow ? ` ${name} ` : `  ${name.padEnd(11)} `;
      lines.push(...fold(shown.text.trimEnd(), shown.text === '' ? head.trimEnd() : head, hang));
    },
    words(text) {
      const shown = visibleLines(text);
      made += shown.made;
      lines.push(...shown.lines.flatMap((line) => fold(line, bar, bar)));
    },
    text() {
      const note =
        made === 0
          ? []
          : [
              '',
              `Note: ${made} control or invisible ${made === 1 ? 'character was' : 'characters were'} made ` +
                'visible above.',
            ];
      return `${[...lines, ...note.flatMap((line) => fold(line, '', ' '))].join('\n')}\n`;
    },
  };
}
