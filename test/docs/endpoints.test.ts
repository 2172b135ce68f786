// The pages describe every endpoint of the gateway's own API, agents' and reviewers', and none that is not there.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type HoldRoutes, holdRoutes } from '../../src/agent-api/holds.ts';
import { type TaskRoutes, taskRoutes } from '../../src/agent-api/tasks.ts';

/** `METHOD /path`, with `{id}` for a parameter and without a query. */
function documented(page: string, prefix: string): readonly string[] {
  const endpoints = [...readFileSync(page, 'utf8').matchAll(/`(GET|POST|PUT|DELETE) (\/[^\s?`]+)/g)];
  return endpoints.map(([, method, path]) => `${method} ${path}`).filter((endpoint) => endpoint.includes(` ${prefix}`));
}

it('describes the agents’ endpoints', () => {
  const routes = Object.entries({ ...taskRoutes({} as TaskRoutes), ...holdRoutes({} as HoldRoutes) });
  const known = routes.flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} /countersign/v1/${path}`),
  );
  expect([...new Set(documented('docs/agents.md', '/countersign/'))].toSorted()).toEqual(known.toSorted());
});

it('describes the reviewers’ endpoints', () => {
  // The routes are added to a web framework one by one; their text is where they can be seen together.
  const sources = readdirSync('src/review').filter((name) => name.endsWith('.ts'));
  const known = sources.flatMap((name) =>
    [
      ...readFileSync(join('src/review', name), 'utf8').matchAll(
        /\bapp\.(get|post|put|delete)\(\s*'(\/api\/v1\/[^']+)'/g,
      ),
    ].map(([, method = '', path = '']) => `${method.toUpperCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`),
  );
  const pages = ['docs/reviewing.md', 'docs/kill-switch.md', 'docs/notifications.md'];
  const named = new Set(pages.flatMap((page) => documented(page, '/api/')));
  expect([...named].toSorted()).toEqual(known.toSorted());
});
