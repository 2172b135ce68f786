// Text on a page. Everything is escaped. Words of an agent are also isolated (bdi), and their control, invisible and
// look-alike characters are marked, so that they cannot reorder, hide or imitate anything around them. Times, sizes and
// counts are written out here too.

import { html, raw } from 'hono/html';
import type { EpochMs } from '../../domain/clock.ts';
import { type Segment, segments, segmentsWithin } from '../../domain/visible-text.ts';

/** Markup that is safe to place. */
export type Html = ReturnType<typeof raw> | Promise<ReturnType<typeof raw>>;

/** One pass for each character: calling a function for each of a million quotes would be slow. */
export const escapeHtml = (text: string): string =>
  text
    .replaceAll('&', '&#38;')
    .replaceAll('<', '&#60;')
    .replaceAll('>', '&#62;')
    .replaceAll('"', '&#34;')
    .replaceAll("'", '&#39;');

const SCRIPTS = [
  [/^\p{Script=Cyrillic}+$/u, 'Cyrillic'],
  [/^\p{Script=Greek}+$/u, 'Greek'],
  [/^\p{Script=Armenian}+$/u, 'Armenian'],
  [/^[\uff01-\uff5e]+$/u, 'fullwidth'],
] as const;

function markup(found: readonly Segment[]): string {
  let out = '';
  for (let at = 0; at < found.length; at++) {
    const { kind, text, code } = found[at] as Segment;
    if (kind === 'plain') out += escapeHtml(text);
    else if (kind === 'invisible') out += `<mark title="${code}: made visible">${escapeHtml(text)}</mark>`;
    else {
      const run = [found[at] as Segment];
      while (found[at + 1]?.kind === 'lookalike') run.push(found[++at] as Segment);
      out += lookalikes(run);
    }
  }
  return out;
}

/** Neighbouring look-alikes under one mark that says what they really are. */
function lookalikes(run: readonly Segment[]): string {
  const text = run.map((segment) => segment.text).join('');
  const codes = run.map(({ code }) => code).join(' ');
  const script = SCRIPTS.find(([pattern]) => pattern.test(text))?.[1] ?? codes;
  const title = `${codes}: looks like other letters`;
  return `<mark class="alike" title="${title}">${escapeHtml(text)}<sub>${script}</sub></mark>`;
}

/** Somebody else's text on one line, as markup. */
export const wordsText = (text: string): string => `<bdi>${markup(segments(text))}</bdi>`;

/** Somebody else's text over as many lines as it has, as markup. */
export const blockText = (text: string): string => `<bdi>${markup(segments(text, { lines: true }))}</bdi>`;

/** Either of them; undefined for a text in which more than `most` characters would have to be marked. */
export function markedWithin(text: string, most: number, lines: boolean): string | undefined {
  const found = segmentsWithin(text, most, lines);
  return found && `<bdi>${markup(found)}</bdi>`;
}

export const words = (text: string): Html => raw(wordsText(text));

export const block = (text: string): Html => raw(blockText(text));

/** What was just done, or could not be done. */
export const alert = (text: string, kind: 'good' | 'bad'): Html =>
  html`<div class="alert ${kind}" role="status">${text}</div>`;

export const number = (value: number): string => value.toLocaleString('en-GB');

export const plural = (count: number, noun: string): string => `${number(count)} ${noun}${count === 1 ? '' : 's'}`;

/** `4 min 10 s`, `2 h 5 min`, `3 days`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** A moment, with its full form for machines and as a tooltip. */
export function moment(at: EpochMs): Html {
  const iso = new Date(at).toISOString();
  return raw(`<time datetime="${iso}" title="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`);
}

/** How long ago, with the moment itself as a tooltip. */
export function ago(at: EpochMs, now: EpochMs): Html {
  const iso = new Date(at).toISOString();
  return raw(`<time datetime="${iso}" title="${iso}">${duration(now - at)} ago</time>`);
}

/** A table that scrolls by itself where the page is narrow. `label` names it for people who cannot see it. */
export const table = (label: string, columns: readonly string[], rows: readonly Html[]): Html =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="${label}">
      <table>
        <thead>
          <tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr>
        </thead>
        <tbody>${rows}</tbody>
      </table></div>`;

/** A countdown: the script updates it; without the script it shows the time left when the page was made. */
export function timeLeft(until: EpochMs, now: EpochMs): Html {
  const left = until - now;
  const urgency = left < 60_000 ? 'now' : left < 180_000 ? 'soon' : 'calm';
  const iso = new Date(until).toISOString();
  const text = left <= 0 ? 'time is up' : `${duration(left)} left`;
  return raw(`<time class="left" datetime="${iso}" data-left="${urgency}">${text}</time>`);
}
