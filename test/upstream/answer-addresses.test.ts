// Kind: an address in an upstream's own address space that reaches the agent as if it could be followed there. One
// source with a base path, one of a server of a shared mount; every form in which servers write addresses.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forAgent } from '../../src/upstream/answer-addresses.ts';

const url = new URL('http://api.internal:8080/base');
const source = { url, upstream: 'tools', path: '/base/a/b?x=1' };
const location = (value: string) => forAgent('location', value, source, true);

describe('an address of the mounted URL', () => {
  it.each([
    ['http://api.internal:8080/base/jobs/7', '/tools/jobs/7'],
    ['https://api.internal:8080/base/jobs/7?q=1#f', '/tools/jobs/7?q=1#f'],
    ['HTTP://API.INTERNAL:8080/base/jobs', '/tools/jobs'],
    ['http://user:secret@api.internal:8080/base/jobs', '/tools/jobs'],
    ['//api.internal:8080/base/jobs', '/tools/jobs'],
    ['/base/jobs/7', '/tools/jobs/7'],
    ['/base', '/tools'],
    ['/base/', '/tools/'],
    ['/base/../base/jobs', '/tools/jobs'],
    ['c', '/tools/a/c'],
    ['../jobs', '/tools/jobs'],
    ['?page=2', '/tools/a/b?page=2'],
  ])('%s is written as the agent reaches it', (value, expected) => {
    expect(location(value)).toBe(expected);
  });

  it('is one of the mount where several servers share it', () => {
    expect(forAgent('location', '/base/x', { ...source, upstream: 'one/a' }, false)).toBe('/one/x');
  });
});

describe('an address that nobody outside could follow', () => {
  it.each([
    '/other/jobs',
    '/basement/jobs',
    '../../../etc',
    'http://api.internal:9090/base/jobs',
    'http://api.internal/base/jobs',
    'http://10.0.0.7/jobs',
    'http://[::ffff:10.0.0.7]/jobs',
    'http://167772167/jobs',
    'http://100.64.0.9/jobs',
    'http://[fe80::1]/jobs',
    'http://[64:ff9b::a00:7]/jobs',
    'https://[fd00::7]/jobs',
    'http://2130706433/jobs',
    'http://0xc0a80001/jobs',
    'http://172.31.0.1/jobs',
    'http://localhost/jobs',
    'http://db/jobs',
    'http://bank.default.svc/jobs',
    'http://bank.default.svc.cluster.local/jobs',
    'http://printer.lan./jobs',
    'ws://cache.internal/x',
    'http://[bad',
  ])('%s is left out', (value) => {
    expect(location(value)).toBeUndefined();
  });
});

it.each([
  'https://files.example.com/a?sig=1',
  'https://example.org',
  'http://169.254.169.254/latest',
  'mailto:a@example.org',
])('another site’s address stays as it is: %s', (value) => {
  expect(location(value)).toBe(value);
});

it.each([
  ['refresh', '5; url=http://api.internal:8080/base/jobs', '5; url=/tools/jobs'],
  ['refresh', "0;URL='/base/jobs'", '0;URL=/tools/jobs'],
  ['refresh', '5', '5'],
  ['refresh', '5; url=http://10.0.0.7/', undefined],
  ['content-location', '/base/jobs/7.json', '/tools/jobs/7.json'],
  ['link', '</base/jobs?page=2>; rel="next", <http://10.0.0.7/x>; rel=last', '</tools/jobs?page=2>; rel="next"'],
  ['link', '<https://idp.example.com>; rel="oauth2-authorization-server"', undefined],
  ['link', '</base/x>; title="a, <b>; c"; rel=self', '</tools/x>; title="a, <b>; c"; rel=self'],
  ['link', '</base/login>; rel="login service"', undefined],
])('%s: %s', (name, value, expected) => {
  expect(forAgent(name, value, source, true)).toBe(expected);
});

it('never names the upstream’s host, whatever address of it an answer holds', () => {
  const piece = fc.stringMatching(/^[a-z0-9./%?#=&;@:-]{0,20}$/);
  const forms = fc.tuple(
    fc.constantFrom(
      '',
      '/',
      '//api.internal:8080/',
      'http://api.internal:8080/',
      'http://api.internal:8080/base/',
      '/base/',
      '../',
    ),
    piece,
  );
  fc.assert(
    fc.property(forms, ([start, rest]) => {
      const mapped = location(start + rest);
      if (mapped === undefined || mapped === start + rest) return !/^(?:http:)?\/\/api\.internal/.test(mapped ?? '');
      return mapped.startsWith('/tools') && !mapped.startsWith('//');
    }),
    { numRuns: 2_000 },
  );
});
