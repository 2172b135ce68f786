// Where a person stands after a sign-in, over sockets: the real console, the real issuer of the quickstart, what the
// console's Location says and a browser reads.

import { describe, expect } from 'vitest';
import { openConsole, type TestConsole } from '../support/console.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { createVisitor } from '../support/visitor.ts';

const it = gatewayTest.extend('testConsole', file, ({ closes }) => closes(openConsole()));

/** As a browser reads it. */
const landing = (testConsole: TestConsole, response: Response): URL =>
  new URL(response.headers.get('location') ?? 'missing:', testConsole.url);

describe('after a sign-in', () => {
  // Kind: a redirect that was checked in another form than the one that the browser follows.
  it.for([
    '/..//evil.test',
    '/.//evil.test',
    '/x/..//evil.test/',
    '/./%2fevil.test',
    '/%2e%2e//evil.test',
    '/./\\evil.test',
    '/%09/evil.test',
    '//a@evil.test',
    '/.//evil.test:80/?a=b',
  ])('the person who was sent to %s stands at the inbox', async (to, { testConsole }) => {
    const response = await createVisitor('alice').signIn(testConsole.url, `?to=${encodeURIComponent(to)}`);
    expect(response.status).toBe(303);
    expect(landing(testConsole, response).href).toBe(`${testConsole.url}/`);
  });

  it('the person stands where the link led, and there the session holds', async ({ testConsole }) => {
    const visitor = createVisitor('alice');
    const response = await visitor.signIn(testConsole.url, `?to=${encodeURIComponent('/?view=recent')}`);
    expect(landing(testConsole, response).href).toBe(`${testConsole.url}/?view=recent`);
    expect((await visitor.fetch(landing(testConsole, response))).status).toBe(200);
  });

  it('the page for strangers offers no other way back', async ({ testConsole }) => {
    for (const path of ['//evil.test', '/..//evil.test', '/x/%2e%2e//evil.test']) {
      const page = await (await fetch(`${testConsole.url}${path}`)).text();
      for (const [, link = ''] of page.matchAll(/href="(\/sign-in[^"]*)"/g))
        expect(new URL(link, testConsole.url).searchParams.get('to')).toBe('/');
    }
  });
});
