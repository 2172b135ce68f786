// One action in one sentence, from the gateway's facts: who wants to do what, where, with which arguments. Short
// arguments are named whole. Of long ones the sentence says only how large they are; the page shows them in full below.

import { html } from 'hono/html';
import type { GistValue } from '../../domain/gist.ts';
import type { HeldAction, HeldPrincipal, Hold } from '../../domain/hold.ts';
import { type Html, number, plural, words } from './html.ts';

const PLAIN_WORD = /^[\p{L}\p{N}_@/+-][\p{L}\p{N}_.:@/+-]*$/u;

/** The name by which people know an agent; the facts show the whole id. */
export function agentName({ id, kind, issuer, subject, client, name }: HeldPrincipal): string {
  if (kind === 'spiffe') return id.replace(/^spiffe:\/\//, '');
  // Some issuers make subjects that tell people nothing (Keycloak's are UUIDs).
  return URL.canParse(issuer) ? `${name ?? client ?? subject} (${new URL(issuer).host})` : id;
}

/** `POST /transfers on ledger`, or the tool. */
export function what(action: HeldAction): Html {
  if (action.upgrade !== undefined)
    return html`<strong>open a WebSocket at ${words(action.target)}</strong> on <strong>${action.upstream}</strong>`;
  return action.tool === undefined
    ? html`<strong>${action.method} ${words(action.target)}</strong> on <strong>${action.upstream}</strong>`
    : html`call the tool <strong>${words(action.tool)}</strong> on <strong>${action.upstream}</strong>`;
}

/** Whether the same page shows the arguments, so that the sentence can link to them. */
export interface SentencePlace {
  readonly above?: boolean;
}

export function sentence(hold: Hold, place: SentencePlace = {}): Html {
  const who = html`<strong class="who">${words(agentName(hold.principal))}</strong>`;
  return html`Agent ${who}${onBehalf(hold)} wants to ${what(hold.action)}${details(hold.action, place)}.`;
}

function onBehalf({ principal }: Hold): Html | string {
  const [nearest] = principal.onBehalfOf;
  return nearest === undefined ? '' : html`, for <strong>${words(nearest.subject)}</strong>,`;
}

/** `: amount 4200, to ACME, and 2 more`. */
export function details(
  { gist, bodyLength, contentType }: HeldAction,
  { above = false }: SentencePlace = {},
): Html | string {
  if (gist === undefined) return bodyLength === 0 ? '' : `: ${number(bodyLength)} bytes of ${contentType ?? 'content'}`;
  if ('items' in gist) return `: a list of ${plural(gist.items, 'item')}`;
  if ('single' in gist) return html`: ${named(gist.single)}`;
  const { entries, more } = gist;
  if (entries.length + more === 0) return ', with no arguments';
  const shown = entries.map(
    ([key, value], index) => html`${index === 0 ? ': ' : ', '}${quoted(key)} <span class="val">${named(value)}</span>`,
  );
  if (more === 0) return html`${shown}`;
  const others = `${number(more)} more`;
  const link = above ? html`<a href="#arguments">${others}</a>` : others;
  return html`${shown}${entries.length === 0 ? ':' : ', and'} ${link}`;
}

function named(given: GistValue): Html | string {
  if ('characters' in given) return `(${number(given.characters)} characters)`;
  if ('items' in given) return `(${plural(given.items, 'item')})`;
  if ('members' in given) return `(${plural(given.members, 'member')})`;
  return typeof given.value === 'string' ? quoted(given.value) : String(given.value);
}

/** A plain word is shown as it is; a text that could be read as part of the sentence gets quotation marks. */
function quoted(text: string): Html {
  return PLAIN_WORD.test(text) ? words(text) : html`“${words(text)}”`;
}
