// One action in one sentence, in facts of the gateway's: who wants to do what, where, with which arguments. Arguments that are short enough
// to be read are named whole; of the others the sentence says only how large they are, and the page shows them in full below.

import { html } from 'hono/html';
import type { HeldAction, HeldPrincipal, Hold } from '../../domain/hold.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { type Html, number, plural, words } from './words.ts';

const NAMED = 4;
const LONGEST_NAMED = 60;
const PLAIN_WORD = /^[\p{L}\p{N}_@/+-][\p{L}\p{N}_.:@/+-]*$/u;

/** The name by which people know an agent; the whole id stands in the facts. */
export function agentName({ id, kind, issuer, subject, client, name }: HeldPrincipal): string {
  if (kind === 'spiffe') return id.replace(/^spiffe:\/\//, '');
  // Some issuers make subjects that tell people nothing (Keycloak's are UUIDs).
  return URL.canParse(issuer) ? `${name ?? client ?? subject} (${new URL(issuer).host})` : id;
}

/** What the call passes: the parsed arguments, or the body where it is strict JSON. */
export function argumentsOf(action: HeldAction): Json | undefined {
  if (action.args !== undefined) return action.args;
  if (action.bodyText === undefined || !/\bjson\b/.test(action.contentType ?? '')) return undefined;
  try {
    return parseStrictJson(Buffer.from(action.bodyText, 'utf8'));
  } catch {
    return undefined;
  }
}

/** `POST /transfers on ledger`, or the tool. */
export function what(action: HeldAction): Html {
  return action.tool === undefined
    ? html`<strong>${action.method} ${words(action.target)}</strong> on <strong>${action.upstream}</strong>`
    : html`call the tool <strong>${words(action.tool)}</strong> on <strong>${action.upstream}</strong>`;
}

/** Whether the arguments stand on the same page, to be pointed at. */
export interface Place {
  readonly above?: boolean;
}

export function sentence(hold: Hold, place: Place = {}): Html {
  return html`Agent <strong class="who">${words(agentName(hold.principal))}</strong>${onBehalf(hold)} wants to ${what(hold.action)}${details(hold.action, place)}.`;
}

function onBehalf({ principal }: Hold): Html | string {
  const [nearest] = principal.onBehalfOf;
  return nearest === undefined ? '' : html`, for <strong>${words(nearest.subject)}</strong>,`;
}

/** `: amount 4200, to ACME, and 2 more`. */
export function details(action: HeldAction, { above = false }: Place = {}): Html | string {
  const value = argumentsOf(action);
  if (value === undefined) return action.bodyLength === 0 ? '' : `: ${number(action.bodyLength)} bytes of ${action.contentType ?? 'content'}`;
  if (!isJsonObject(value)) return Array.isArray(value) ? `: a list of ${plural(value.length, 'item')}` : html`: ${named(value)}`;
  const entries = Object.entries(value);
  if (entries.length === 0) return ', with no arguments';
  const shown = entries.slice(0, NAMED).map(([key, item], index) => html`${index === 0 ? ': ' : ', '}${quoted(key)} <span class="val">${named(item)}</span>`);
  const rest = entries.length - shown.length;
  if (rest <= 0) return html`${shown}`;
  return html`${shown}, and ${above ? html`<a href="#arguments">${number(rest)} more</a>` : `${number(rest)} more`}`;
}

function named(value: Json): Html | string {
  if (typeof value === 'string') return value.length <= LONGEST_NAMED ? quoted(value) : `(${number(value.length)} characters)`;
  if (Array.isArray(value)) return `(${plural(value.length, 'item')})`;
  if (isJsonObject(value)) return `(${plural(Object.keys(value).length, 'member')})`;
  return String(value);
}

/** A plain word stands as it is; anything that could run on into the sentence stands in quotation marks. */
function quoted(text: string): Html {
  return PLAIN_WORD.test(text) ? words(text) : html`“${words(text)}”`;
}
