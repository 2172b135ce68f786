// docs/architecture.md lists every room of src, and none that is not there.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('lists every room of src once, and none besides', () => {
  const text = readFileSync('docs/architecture.md', 'utf8');
  const listed = [...text.matchAll(/^\| `src\/([\w-]+)\/` \|/gm)].map(([, room = '']) => room);
  const rooms = readdirSync('src', { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
  expect(listed.toSorted()).toEqual(rooms.toSorted());
});
