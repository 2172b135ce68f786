// Where a person stands after a sign-in, over sockets: the real desk, the real issuer of the quickstart, what the
// console's Location says and a browser reads.

import { describe, expect } from 'vitest';
import { type Desk, openConsole } from '../support/console.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { createVisitor } from '../support/visitor.ts';

const it = gatewayTest.extend('desk', file, ({ closes }) => closes(openConsole()));

/** As a browser reads it. */
const landing = (desk: Desk, response: Response): URL =>
  new URL(response.headers.get('location') ?? 'missing:', desk.url);

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
  ])('the person who was sent to %s stands at the inbox', async (to, { desk }) => {
    const response = await createVisitor('alice').signIn(desk.url, `?to=${encodeURIComponent(to)}`);
    expect(response.status).toBe(303);
    expect(landing(desk, response).href).toBe(`${desk.url}/`);
  });

  it('the person stands where the link led, and there the session holds', async ({ desk }) => {
    const visitor = createVisitor('alice');
    const response = await visitor.signIn(desk.url, `?to=${encodeURIComponent('/?view=recent')}`);
    expect(landing(desk, response).href).toBe(`${desk.url}/?view=recent`);
    expect((await visitor.fetch(landing(desk, response))).status).toBe(200);
  });

  it('the page for strangers offers no other way back', async ({ desk }) => {
    for (const path of ['//evil.test', '/..//evil.test', '/x/%2e%2e//evil.test']) {
      const page = await (await fetch(`${desk.url}${path}`)).text();
      for (const [, link = ''] of page.matchAll(/href="(\/sign-in[^"]*)"/g))
        expect(new URL(link, desk.url).searchParams.get('to')).toBe('/');
    }
  });
});
