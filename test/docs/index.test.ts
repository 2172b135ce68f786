// docs/README.md lists every page below docs/, and no page that is not there.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const INDEX = 'README.md';
const pages = readdirSync('docs', { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.md') && path !== INDEX,
);
/** Entries of the lists: a link, a colon, and a line about the page. The table on top repeats some of them. */
const listed = [...readFileSync(`docs/${INDEX}`, 'utf8').matchAll(/^- \[([^\]]+)\]\(([^)]+)\): \S/gm)];

it('lists every page of docs/ once, and none besides', () => {
  expect(listed.map(([, , path]) => path).toSorted()).toEqual(pages.toSorted());
});

it('calls each page by its path', () => {
  expect(listed.filter(([, text, path]) => text !== path)).toEqual([]);
});
