// Shows what would be sent, whole: as a tree for reading, raw for checking, and as a difference from the last approved
// action of the same kind. Large values fold and are never cut. An action that is too large for a page is not shown in
// part: the page says so, and nobody can approve it here.

import { html, raw } from 'hono/html';
import { fieldPairs } from '../../domain/headers.ts';
import { heldArguments, heldBeside } from '../../domain/held-arguments.ts';
import type { HeldAction, HeldContent, Hold, OnceApprovedHold } from '../../domain/hold.ts';
import type { Json } from '../../domain/json.ts';
import { whyNotWhole } from '../../domain/whole.ts';
import { ago, escapeHtml, type Html, markedWithin, number, plural, words } from './html.ts';

/** Characters of markup on one page. Browsers can show this many. */
const LARGEST_MARKUP = 8_000_000;
/** Characters to be marked on one page. Each may become an element of its own. */
const MOST_MARKS = 50_000;
const LARGEST_TREE = 20_000;
const LONG_TEXT = 240;
const MANY_MEMBERS = 40;

/** A held action as markup, or why it cannot be shown whole. */
export interface Shown {
  readonly tree?: Html;
  /** MCP: what the message carries besides the tool and its arguments. */
  readonly beside?: Html;
  readonly body?: Html;
  /** Places in the body that were marked. */
  readonly marked?: number;
  readonly fault?: string;
  /** The body is no longer kept: there is nothing to show, and nothing to decide on. */
  readonly dropped?: true;
  /** The arguments in the body, for the comparison with other actions. */
  readonly value?: Json;
}

export function showAction(hold: Hold, content: HeldContent = {}): Shown {
  const { action } = hold;
  const { bodyText } = content;
  if ('endedAt' in hold && bodyText === undefined && action.bodyLength > 0) return { dropped: true };
  const fault = whyNotWhole({ ...action, bodyText });
  if (fault !== undefined) return { fault };
  const body = bodyText === undefined ? undefined : markedWithin(bodyText, MOST_MARKS, true);
  if (bodyText !== undefined && body === undefined) {
    const many = `Its body has more than ${number(MOST_MARKS)} characters that are invisible or pass for others`;
    return { fault: `${many}, too many for a page.` };
  }
  const value = heldArguments(content);
  const tree = readableTree(value);
  const beside = readableTree(heldBeside(content));
  if ((body?.length ?? 0) > LARGEST_MARKUP)
    return { fault: `Made visible, the ${number(action.bodyLength)} bytes of the body are too large for a page.` };
  const fits = tree !== undefined && tree.length + (beside?.length ?? 0) + (body?.length ?? 0) <= LARGEST_MARKUP;
  return {
    ...(value !== undefined && { value }),
    ...(fits && { tree: raw(tree) }),
    ...(fits && beside !== undefined && { beside: raw(beside) }),
    ...(body !== undefined && { body: raw(body), marked: body.split('<mark').length - 1 }),
  };
}

/**
 * Undefined for a value that is too large to be read as a tree, or that would have too many marks. Characters that the
 * body writes as escapes count too.
 */
function readableTree(value: Json | undefined): string | undefined {
  if (value === undefined || countNodes(value) > LARGEST_TREE) return undefined;
  const marks = { left: MOST_MARKS };
  const tree = treeText(value, (text, lines) => {
    const shown = marks.left < 0 ? undefined : markedWithin(text, marks.left, lines);
    marks.left -= shown === undefined ? Number.POSITIVE_INFINITY : shown.split('<mark').length - 1;
    return shown ?? '';
  });
  return marks.left < 0 ? undefined : tree;
}

function countNodes(value: Json): number {
  let count = 1;
  if (typeof value === 'object' && value !== null)
    for (const child of Object.values(value)) count += countNodes(child as Json);
  return count;
}

/** A text of the agent as markup, with its line breaks or on one line. */
type Show = (text: string, lines: boolean) => string;

function treeText(value: Json, show: Show): string {
  if (typeof value === 'string') return stringText(value, show);
  if (typeof value !== 'object' || value === null)
    return `<span class="v-${value === null ? 'null' : typeof value}">${String(value)}</span>`;
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return `<span class="v-null">${list ? '[ ] (empty list)' : '{ } (empty object)'}</span>`;
  const rows = entries
    .map(
      ([key, child]) => `<div><dt>${list ? `[${key}]` : show(key, false)}</dt><dd>${treeText(child, show)}</dd></div>`,
    )
    .join('');
  const members = `<dl class="tree">${rows}</dl>`;
  return entries.length <= MANY_MEMBERS
    ? members
    : fold(`${plural(entries.length, list ? 'item' : 'member')}, all of them here`, members);
}

function stringText(text: string, show: Show): string {
  if (text === '') return '<span class="v-null">"" (empty text)</span>';
  if (text.length <= LONG_TEXT && text.split('\n').length <= 6)
    return `<span class="v-string">${show(text, true)}</span>`;
  return fold(
    `Text of ${number(text.length)} characters, all of them here`,
    `<pre class="long" tabindex="0">${show(text, true)}</pre>`,
  );
}

const fold = (label: string, content: string): string =>
  `<details class="fold"><summary>${escapeHtml(label)}</summary>${content}</details>`;

export function renderAction(hold: Hold, shown: Shown): Html {
  const { action } = hold;
  if (shown.dropped) {
    const why = 'sentAt' in hold ? 'the time for which bodies are kept is over' : 'the call ended without being sent';
    return html`<p class="quiet">
      The body is no longer kept: ${why}.
      It had ${number(action.bodyLength)} bytes with the digest <code>${action.bodyDigest}</code>.</p>
    ${renderQuery(action)}
    ${renderHeaders(action)}`;
  }
  if (shown.fault !== undefined) {
    return html`<div class="alert bad" role="alert">
      <strong>This action cannot be shown whole, so it cannot be approved here.</strong>
      ${shown.fault} It can still be denied.</div>`;
  }
  return html`${shown.marked ? renderMarked(shown.marked) : ''}
    ${shown.tree === undefined ? '' : html`<div class="args">${shown.tree}</div>`}
    ${shown.beside === undefined ? '' : renderBeside(shown.beside)}
    ${shown.body === undefined ? NO_BODY : renderBody(action, shown.body, shown.tree !== undefined)}
    ${renderQuery(action)}
    ${renderHeaders(action)}`;
}

const renderBeside = (beside: Html): Html =>
  html`<h3>Also in the message</h3>
    <div class="args beside">${beside}</div>`;

const NO_BODY = html`<p class="quiet">The call has no body.</p>`;

const renderMarked = (places: number): Html =>
  html`<p class="why">
      ${plural(places, 'place')} marked: characters that control, hide, reorder, or pass for others.</p>`;

function renderBody(action: HeldAction, body: Html, hasTree: boolean): Html {
  const size = `${number(action.bodyLength)} bytes`;
  const label = html`${hasTree ? 'Raw body' : 'Body'}: ${size}, ${words(action.contentType ?? 'no content type')}`;
  const note = hasTree
    ? ''
    : html`<p class="quiet">The body is not strict JSON of a readable size, so it is shown as text.</p>`;
  return html`${note}
    <details class="fold" ${hasTree ? '' : 'open'}>
      <summary>${label}</summary>
      <pre class="long" tabindex="0" aria-label="The body, whole">${body}</pre>
    </details>`;
}

function renderQuery({ target }: HeldAction): Html | string {
  const at = target.indexOf('?');
  const fields = at === -1 ? [] : [...new URLSearchParams(target.slice(at + 1))];
  if (fields.length === 0) return '';
  return html`<h3>Query</h3>
    <dl class="tree">${fields.map(([name, value]) => field(name, value))}</dl>`;
}

function renderHeaders({ boundHeaders, leftBehind = [] }: HeldAction): Html | string {
  const left =
    leftBehind.length === 0
      ? ''
      : html`<p class="quiet">These header fields of the agent are not sent: ${words(leftBehind.join(', '))}.</p>`;
  if (boundHeaders.length === 0) return left;
  const rows = [...fieldPairs(boundHeaders)].map(([name, value]) => field(name, value));
  return html`<details class="fold">
      <summary>${plural(rows.length, 'header field')} that would be sent</summary>
      <dl class="tree">${rows}</dl>
    </details>
    ${left}`;
}

const field = (name: string, value: string): Html => html`<div><dt>${words(name)}</dt><dd>${words(value)}</dd></div>`;

/** An earlier hold, and the arguments in its body if the body is kept. */
export interface Earlier {
  readonly hold: OnceApprovedHold;
  readonly value?: Json;
}

interface Difference {
  readonly path: string;
  readonly before?: Json;
  readonly now?: Json;
}

const LARGEST_DIFFERENCE = 200;

/** What differs from the last approved action of the same kind. */
export function renderDifference(
  hold: Hold,
  after: Json | undefined,
  { hold: earlier, value: before }: Earlier,
  now: number,
): Html {
  const found = before === undefined || after === undefined ? undefined : differences(before, after);
  const when = html`<a href="/holds/${earlier.id}">approved ${ago(earlier.approvedAt, now)}</a>`;
  if (found === undefined) {
    const same = earlier.action.bodyDigest === hold.action.bodyDigest;
    const how = same
      ? 'The body is the same, byte for byte, as in the action'
      : 'The body differs from that of the action';
    return html`<p>${how} ${when}.</p>`;
  }
  if (found.length === 0) return html`<p>The arguments are the same as in the action ${when}.</p>`;
  const more = found.length - LARGEST_DIFFERENCE;
  const rest = html`<p class="quiet">
      ${number(more)} more differences are not listed; the arguments above are whole.</p>`;
  return html`<p>${plural(found.length, 'difference')} from the action ${when}:</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Differences">
      <table class="diff">
        <thead>
          <tr>
            <th scope="col">Where</th>
            <th scope="col">Then</th>
            <th scope="col">Now</th>
          </tr>
        </thead>
        <tbody>${found.slice(0, LARGEST_DIFFERENCE).map(renderRow)}</tbody>
      </table>
    </div>
    ${more > 0 ? rest : ''}`;
}

const renderRow = ({ path, before, now }: Difference): Html =>
  html`<tr>
            <th scope="row">${words(path)}</th>
            <td class="then">${side(before)}</td>
            <td class="now">${side(now)}</td>
          </tr>`;

/**
 * Shows small values whole. Of large values it says only that they differ: they are shown whole above, or on the page
 * of the other action.
 */
function side(value: Json | undefined): Html | string {
  if (value === undefined) return html`<span class="v-null">not there</span>`;
  if (typeof value === 'string' && value.length > LONG_TEXT)
    return html`<span class="v-null">another text of ${number(value.length)} characters</span>`;
  const nodes = countNodes(value);
  return nodes > MANY_MEMBERS || JSON.stringify(value).length > 4 * LONG_TEXT
    ? html`<span class="v-null">another value of ${number(nodes)} parts</span>`
    : raw(treeText(value, (text, lines) => markedWithin(text, MOST_MARKS, lines) ?? ''));
}

function differences(before: Json, now: Json, path = ''): Difference[] {
  if (Object.is(before, now)) return [];
  const nested =
    typeof before === 'object' &&
    typeof now === 'object' &&
    before !== null &&
    now !== null &&
    Array.isArray(before) === Array.isArray(now);
  if (!nested) return [{ path: path || '(whole)', before, now }];
  const [left, right] = [before as Readonly<Record<string, Json>>, now as Readonly<Record<string, Json>>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) => {
    const at = Array.isArray(before) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    const [was, is] = [
      Object.hasOwn(left, key) ? left[key] : undefined,
      Object.hasOwn(right, key) ? right[key] : undefined,
    ];
    if (was !== undefined && is !== undefined) return differences(was, is, at);
    return [{ path: at, ...(was !== undefined && { before: was }), ...(is !== undefined && { now: is }) }];
  });
}
