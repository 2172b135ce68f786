// A task with everything below its root on one page: what it adds up to, the tree of its tasks, and every call in the
// order of time, each with the agent that made it. The gateway's facts are plain; an agent's words are quoted.

import { html } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import type { Hold } from '../../domain/hold.ts';
import type { Provenance, Task, TaskCall } from '../../domain/task.ts';
import { type Reach, reachOf, type TaskTree } from '../task-tree.ts';
import { decisionTag } from './hold-background.ts';
import { ago, type Html, plural, table, words } from './html.ts';
import { renderState } from './inbox-page.ts';
import { renderPage, type SignedIn } from './layout.ts';
import { what } from './sentence.ts';
import { renderRevoke } from './watch-page.ts';

/** Who vouches for a task, as a sentence for people. */
export const VOUCHED: Readonly<Record<Provenance, string>> = {
  declared: 'The agent says so. Nobody vouches for it.',
  attested: 'A task token of a configured issuer vouches for it.',
  implicit: 'The gateway opened it for a session. The agent said nothing about it.',
};

export function renderTaskTree(tree: TaskTree, session: SignedIn, now: EpochMs): Html {
  const { root, tasks, calls, holds, agents } = tree;
  const open = holds.filter(({ state }) => state === 'PENDING' || state === 'APPROVED');
  return renderPage(
    { title: 'Task', session },
    html`<p class="crumbs"><a href="/">Inbox</a></p>
    <div class="head">
      <h1>One task, ${plural(agents.length, 'agent')}</h1>
      <p class="quiet">
        ${plural(tasks.length, 'task')}, ${calls.length === 200 ? 'the latest 200 calls' : plural(calls.length, 'call')}.
        ${root.endedAt === undefined ? html`Opened ${ago(root.createdAt, now)}.` : html`Ended ${ago(root.endedAt, now)}.`}
      </p>
    </div>
    <div class="task-page">
      ${renderWaiting(open, now)}
      ${renderReach(tree)}
      ${renderTasks(tree, now)}
      ${renderTimeline(tree, now)}
      ${session.powers.watch && root.endedAt === undefined ? html`<section>${renderRevoke(root.id, 0, session)}</section>` : ''}
    </div>`,
  );
}

const section = (id: string, title: string, content: Html): Html =>
  html`<section aria-labelledby="${id}">
      <h2 id="${id}">${title}</h2>
      ${content}</section>`;

function renderWaiting(open: readonly Hold[], now: EpochMs): Html | string {
  if (open.length === 0) return '';
  const item = (hold: Hold) =>
    html`<li>${renderState(hold, now)} <a href="/holds/${hold.id}">${what(hold.action)}</a></li>`;
  return section('waiting-title', 'Waits for people', html`<ul class="plain-list">${open.map(item)}</ul>`);
}

/** A letter for each agent, so that rows can name it shortly: A to Z, then A1 and so on. */
function letterOf(index: number): string {
  const letter = String.fromCharCode(65 + (index % 26));
  return index < 26 ? letter : `${letter}${Math.floor(index / 26)}`;
}

/** What an answer left on its caller. */
const mark = (name: string): Html => html`<span class="tag warn">${words(name)}</span> `;

const chip = (index: number): Html => html`<span class="chip chip-${index % 6}">${letterOf(index)}</span>`;

function renderReach(tree: TaskTree): Html {
  const row = ({ upstream, reads, changes, held, refused, marks, by }: Reach) =>
    html`<tr>
          <th scope="row">${words(upstream)}</th>
          <td>${reads}</td>
          <td>${changes === 0 ? '0' : html`<strong>${changes}</strong>`}</td>
          <td>${held}</td>
          <td>${refused}</td>
          <td>${marks.map(mark)}</td>
          <td>${by.map((index) => html`${chip(index)} `)}</td>
        </tr>`;
  const reach = reachOf(tree);
  return section(
    'reach-title',
    'What it adds up to',
    reach.length === 0
      ? html`<p class="quiet">No call was decided yet.</p>`
      : table(
          'Systems that were called',
          ['System', 'Reads', 'Changes', 'Held', 'Refused', 'Marked with', 'By'],
          reach.map(row),
        ),
  );
}

function renderTasks(tree: TaskTree, now: EpochMs): Html {
  const { root, agents } = tree;
  const list = agents.map((agent, index) => html`<li>${chip(index)} <span class="mono">${words(agent)}</span></li>`);
  return section(
    'tasks-title',
    'Who works on what',
    html`<ul class="plain-list agents">${list}</ul>
      <figure class="agent-words">
        <figcaption>The agents’ own words. The gateway does not vouch for them.</figcaption>
        <blockquote><ul class="task-tree">${renderBranch(tree, root, now)}</ul></blockquote>
      </figure>`,
  );
}

const provenanceTag = (provenance: Provenance): Html =>
  html`<span class="tag ${provenance === 'attested' ? 'good' : ''}" title="${VOUCHED[provenance]}">${provenance}</span>`;

function renderBranch(tree: TaskTree, task: Task, now: EpochMs): Html {
  const below = tree.tasks.filter(({ parent }) => parent === task.id);
  const ended = task.endedAt === undefined ? '' : html` <span class="tag">ended</span>`;
  return html`<li>
      ${chip(tree.agents.indexOf(task.agentKey))} ${words(task.objective)}
      ${provenanceTag(task.provenance)}${ended}
      ${below.length === 0 ? '' : html`<ul>${below.map((child) => renderBranch(tree, child, now))}</ul>`}</li>`;
}

function renderTimeline({ calls, agents, root }: TaskTree, now: EpochMs): Html {
  const row = ({ at, agent = root.agentKey, operation, decision, status, marks = [], ...call }: TaskCall) =>
    html`<tr>
          <td>${ago(at, now)}</td>
          <td>${chip(agents.indexOf(agent))}</td>
          <td class="mono">
            ${words(call.tool ?? `${call.method} ${call.path}`)} <span class="quiet">on ${words(call.upstream)}</span>
          </td>
          <td>${operation ?? ''}</td>
          <td>${decisionTag(decision)}</td>
          <td>${status ?? ''}</td>
          <td>${marks.map(mark)}</td>
        </tr>`;
  const none = html`<p class="quiet">No call was decided yet.</p>`;
  const columns = ['When', 'Agent', 'Call', 'Operation', 'Decision', 'Status', 'Marked with'];
  const timeline = table('Calls in the order of time', columns, calls.map(row));
  return section('timeline-title', 'Who did what, oldest first', calls.length === 0 ? none : timeline);
}
