// Request targets. What is accepted is what WHATWG URL reads without changing it, what node's own path normaliser
// leaves alone, and what the policy can read; its parts, put together again, are the target.

import { posix } from 'node:path';
import { checkTarget } from '../../../src/actions/path.ts';
import { readPath } from '../../../src/policy/paths.ts';
import { fromPieces } from '../inputs.ts';
import { accepted, demand, type Target } from '../target.ts';

export const requestTarget: Target = {
  name: 'request-target',
  drives: 'the check of paths and queries',
  inputs: fromPieces([
    ...[
      '/',
      '/',
      '/',
      '/a',
      '/b',
      '/api',
      '/../',
      '/./',
      '/..',
      '.',
      '..',
      '//',
      '%2e',
      '%2E%2e',
      '%2f',
      '%5c',
      '%00',
      '%25',
      '%41',
      '%C3%A9',
      '%c3',
      '%ff',
      '%u0041',
    ],
    ...[
      '?',
      '?',
      '&',
      '=',
      'a=1',
      '_method=DELETE',
      '+',
      '%20',
      '#',
      ';',
      ';a=b',
      '\\',
      '*',
      ':',
      '@',
      '~',
      '%EF%BC%8F',
      '%E2%80%AE',
      'é',
      '%7e',
      'http://h/',
      '%',
      '%z',
    ],
  ]).map((text) => `/${text.replace(/^\//, '')}`),
  read: (target) => void checkTarget(target),
  check(target) {
    const checked = accepted(() => checkTarget(target));
    if (checked === undefined) return;
    const { mount, path, query } = checked;
    const whole = target.split('?', 1)[0] as string;
    demand(
      whole === `/${mount}${path}` || (path === '/' && whole === `/${mount}`),
      'The parts put together are not the path.',
    );
    demand(
      query === undefined ? !target.includes('?') : target === `${whole}?${query}`,
      'The parts put together are not the target.',
    );
    const url = new URL(target, 'http://host.test');
    demand(url.host === 'host.test' && url.pathname === whole, 'WHATWG URL reads another path.');
    demand(
      url.hash === '' &&
        url.search.replace(/^\?/, '') === (query ?? '').replace(/["'<>]/g, encodeURIComponent).replaceAll("'", '%27'),
      'WHATWG URL reads another query.',
    );
    const decoded = decodeURIComponent(whole);
    demand(posix.normalize(decoded) === decoded, 'The decoded path has another normal form.');
    demand(readPath(path)?.itself.text === decodeURIComponent(path), 'The policy cannot read the path.');
  },
};
