import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sealOver } from '../../src/assembly/reviewer-pages.ts';
import { createSealer } from '../../src/credentials/seal.ts';
import { createReplayMemory } from '../../src/identity/possession/replay-memory.ts';
import { localPath } from '../../src/review/pages/forms.ts';
import { createSessions, type Seal } from '../../src/review/session.ts';
import { manualClock, reviewerOf } from '../support/holds/values.ts';
import { secretOf } from '../support/signing.ts';

const MINUTE = 60_000;

const sealOf = (key: string): Seal => sealOver(createSealer({ key: secretOf(key.repeat(32)) }));

function open(origin = 'https://review.test', key = 'k', personClaim?: string) {
  const clock = manualClock();
  return {
    clock,
    sessions: createSessions({
      seal: sealOf(key),
      once: createReplayMemory(clock),
      origin,
      personClaim,
      idleMs: 30 * MINUTE,
      lifeMs: 120 * MINUTE,
      now: clock.now,
    }),
  };
}

const pair = (setCookie: string) => setCookie.split(';')[0] ?? '';

describe('a session', () => {
  it('is a __Host- cookie over https, and never passes for one over plain http', () => {
    expect(open().sessions.start(reviewerOf('alice'))).toMatch(
      /^__Host-countersign-session=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=1800; Secure$/,
    );
    const plain = open('http://localhost:8081').sessions.start(reviewerOf('alice'));
    expect(plain).toMatch(/^countersign-insecure-session=/);
    expect(plain).not.toContain('Secure');
  });

  it('gives back who signed in, and shows nothing of it', async () => {
    const { sessions } = open();
    const cookie = pair(sessions.start(reviewerOf('alice')));
    expect((await sessions.read(`other=1; ${cookie}`))?.reviewer).toEqual(reviewerOf('alice'));
    expect(Buffer.from(cookie, 'base64').toString('latin1')).not.toContain('alice');
  });

  // Kind: who signed in before the issuer's claim counted goes on as a person whom nobody compares.
  it('ends when people are known by another claim, or by one at last', async () => {
    const claims = [undefined, 'oid', 'email'];
    const written = claims.map((claim) => pair(open(undefined, 'k', claim).sessions.start(reviewerOf('alice'))));
    for (const [at, cookie] of written.entries())
      for (const [by, claim] of claims.entries())
        expect((await open(undefined, 'k', claim).sessions.read(cookie)) !== undefined).toBe(at === by);
  });

  it('is refused when it was altered, sealed elsewhere, sealed for something else, or is there twice', async () => {
    const { sessions } = open();
    const cookie = pair(sessions.start(reviewerOf('alice')));
    expect(await sessions.read(`${cookie.slice(0, -4)}AAAA`)).toBeUndefined();
    expect(await open('https://review.test', 'x').sessions.read(cookie)).toBeUndefined();
    const transaction = pair(sessions.startTransaction('{}')).replace('sign-in', 'session');
    expect(await sessions.read(transaction)).toBeUndefined();
    expect(await sessions.read(`${cookie}; ${cookie}`)).toBeUndefined();
    expect(await sessions.read(undefined)).toBeUndefined();
  });

  it('ends when nobody uses it, and at its absolute end whoever uses it', async () => {
    const { sessions, clock } = open();
    let cookie = pair(sessions.start(reviewerOf('alice')));
    clock.advance(30 * MINUTE);
    expect(await sessions.read(cookie)).toBeUndefined();

    cookie = pair(sessions.start(reviewerOf('alice')));
    for (let used = 0; used < 119; used += 7) {
      const session = await sessions.read(cookie);
      if (session === undefined) throw new Error(`gone after ${used} minutes`);
      cookie = pair(sessions.renew(session) ?? cookie);
      clock.advance(7 * MINUTE);
    }
    clock.advance(1 * MINUTE);
    expect(await sessions.read(cookie)).toBeUndefined();
  });

  it('that was signed out is of no use to who kept a copy of its cookie', async () => {
    const { sessions } = open();
    const cookie = pair(sessions.start(reviewerOf('alice')));
    const other = pair(sessions.start(reviewerOf('alice')));
    expect(await sessions.end(await sessions.read(cookie))).toMatch(/=; .*Max-Age=0/);
    expect(await sessions.read(cookie)).toBeUndefined();
    expect(await sessions.read(other)).toBeDefined();
  });

  it('is not begun with more groups than a cookie holds', () => {
    const groups = Array.from({ length: 300 }, (_, index) => `group-number-${index}`);
    expect(() => open().sessions.start(reviewerOf('alice', groups))).toThrow(/300 groups/);
  });
});

describe('a form', () => {
  it.each([
    ['of another origin', 'https://evil.test', true],
    ['without an origin', undefined, true],
    ['of an opaque origin', 'null', true],
    ['with another token', 'https://review.test', false],
  ])('%s is refused', async (_what, origin, right) => {
    const { sessions } = open();
    const session = await sessions.read(pair(sessions.start(reviewerOf('alice'))));
    if (session === undefined) throw new Error('no session');
    expect(() => sessions.checkForm({ origin, csrf: right ? session.csrf : 'guess' }, session)).toThrow(/bad_request/);
    expect(() => sessions.checkForm({ origin: 'https://review.test', csrf: session.csrf }, session)).not.toThrow();
  });
});

// Kind: a path that is checked before it is normalised, while the browser goes where the normalised one leads.
describe('the way back after a sign-in', () => {
  const origin = 'https://review.test';

  it('leads nowhere but to this console', () => {
    expect(localPath('/holds/hold_1?done=deny', origin)).toBe('/holds/hold_1?done=deny');
    expect(localPath('/suspensions?principal=spiffe%3A%2F%2Fa%2Fb', origin)).toBe(
      '/suspensions?principal=spiffe%3A%2F%2Fa%2Fb',
    );
    for (const to of [
      '//evil.test',
      '/\\evil.test',
      'https://evil.test/',
      'javascript:alert(1)',
      '/\t/evil.test',
      undefined,
    ]) {
      expect(localPath(to, origin)).toBe('/');
    }
  });

  it.each([
    ...[
      '/..//evil.test',
      '/.//evil.test',
      '/x/..//evil.test',
      '/%2e%2e//evil.test',
      '/%2E//evil.test',
      '/x/.%2e//evil.test',
      '/./\\evil.test',
      '/x/..\\/evil.test',
    ],
    ...[
      '/./%2fevil.test',
      '/%5cevil.test',
      '/%09/evil.test',
      '/%2f%2fevil.test',
      '/..;//evil.test',
      '/@evil.test',
      '/holds//evil.test',
      '/x:80//evil.test',
    ],
  ])('is the inbox for %s', (to) => {
    expect(localPath(to, origin)).toBe('/');
  });

  it('reads the same once it is written, however it was put together', () => {
    const piece = fc.constantFrom(
      '/',
      '//',
      '\\',
      '.',
      '..',
      '%2e',
      '%2f',
      '%5c',
      '%09',
      '\t',
      '\n',
      '@',
      ':',
      ';',
      '?',
      '#',
      'evil.test',
      'holds',
      'a=b',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const path = localPath(`/${pieces.join('')}`, origin);
        expect(new URL(path, origin).href).toBe(origin + path);
        expect(new URL(decodeURIComponent(new URL(path, origin).pathname), origin).origin).toBe(origin);
      }),
      { numRuns: 2000 },
    );
  });
});
