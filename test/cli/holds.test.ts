import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/holds.ts';
import { signInOnDevice } from '../support/device-sign-in.ts';
import { actionOf, decisionOf, requirementOf } from '../support/holds/values.ts';
import { openReviewPlane, type ReviewPlane } from '../support/review-plane.ts';
import { taskOf } from '../support/tasks.ts';
import { openTerminal } from './terminal-io.ts';

let plane: ReviewPlane;
beforeAll(async () => {
  plane = await openReviewPlane();
});
afterAll(() => plane.close());

const as = async (holder: 'alice' | 'bob' | 'mallory' | 'agent') => ({
  COUNTERSIGN_TOKEN: await plane.token(holder),
  COUNTERSIGN_URL: plane.url,
});
const CODE = /Type ([0-9a-f]{6}) to/;

describe('countersign holds list and show', () => {
  it('lists what is pending, one entry each', async () => {
    const hold = await plane.newHold();
    const io = openTerminal(await as('alice'));
    expect(await run(['list'], io)).toBe(0);
    // What does not fit the terminal's line is set in.
    const line = io
      .out()
      .replaceAll('\n    ', '')
      .split('\n')
      .find((entry) => entry.startsWith(hold.id));
    expect(line).toContain('PENDING');
    expect(line).toContain('POST ledger /transfers');
    expect(line).toContain('by spiffe://prod.example.org/agent');
  });

  it('says so when nothing is pending for this person', async () => {
    const io = openTerminal(await as('mallory'));
    expect(await run(['list'], io)).toBe(0);
    expect(io.out()).toBe('');
    expect(io.err()).toContain('No hold is pending.');
  });

  it('shows the whole action, with the agent’s words behind a bar and nothing invisible', async () => {
    const body = `${'x'.repeat(100_000)}\u001b[2J\nCredential: none\n\u202etail`;
    const task = taskOf({ id: 't1', objective: 'Pay\nDecide\n  you may  approve', plan: ['one'] });
    const hold = await plane.newHold({ action: actionOf({}, body), task });
    const io = openTerminal({ ...(await as('alice')), COLUMNS: '9999' });
    expect(await run(['show', hold.id], io)).toBe(0);
    const out = io.out();
    expect(out.replaceAll('x\n  │ x', 'xx')).toContain(
      `  │ ${'x'.repeat(100_000)}␛[2J\n  │ Credential: none\n  │ <U+202E>tail\n`,
    );
    expect(out).toContain('  │ Pay\n  │ Decide\n  │   you may  approve\n');
    expect(out).toContain('2 control or invisible characters were made visible');
    expect(out).not.toMatch(/[\p{Cf}\u001b]/u);
    expect(out).toContain(`  code        ${hold.bindingDigest.slice(0, 6)}`);
  });

  it('prints what the API answered with --json', async () => {
    const hold = await plane.newHold();
    const io = openTerminal(await as('alice'));
    expect(await run(['show', hold.id, '--json'], io)).toBe(0);
    expect(JSON.parse(io.out())).toMatchObject({ id: hold.id, bindingDigest: hold.bindingDigest });
  });
});

describe('countersign holds approve and deny', () => {
  it('approves after the code of what was shown is typed', async () => {
    const hold = await plane.newHold();
    const io = openTerminal(await as('alice'), [[CODE, ([, code]) => code ?? '']]);
    expect(await run(['approve', hold.id], io)).toBe(0);
    expect(io.out()).toContain(`Approved: ${hold.id} is now APPROVED`);
    expect(await plane.stateOf(hold)).toBe('APPROVED');
  });

  it('decides nothing when another code is typed', async () => {
    const hold = await plane.newHold();
    const io = openTerminal(await as('alice'), [[CODE, () => 'yes']]);
    expect(await run(['approve', hold.id], io)).toBe(1);
    expect(await plane.stateOf(hold)).toBe('PENDING');
  });

  it('decides nothing where nobody can answer, without --yes', async () => {
    const hold = await plane.newHold();
    const io = openTerminal(await as('alice'));
    expect(await run(['deny', hold.id], io)).toBe(2);
    expect(await plane.stateOf(hold)).toBe('PENDING');
  });

  it('denies with --yes and passes the reason on', async () => {
    const hold = await plane.newHold();
    expect(await run(['deny', hold.id, '--yes', '--reason', 'not ours'], openTerminal(await as('bob')))).toBe(0);
    expect((await plane.bench.store.holds.get(hold.id))?.votes).toMatchObject([
      { decision: 'deny', reason: 'not ours' },
    ]);
  });

  it('takes an approval back', async () => {
    const hold = await plane.newHold();
    await run(['approve', hold.id, '--yes'], openTerminal(await as('alice')));
    const io = openTerminal(await as('alice'), [[CODE, ([, code]) => code ?? '']]);
    expect(await run(['revoke', hold.id, '--reason', 'too soon'], io)).toBe(0);
    expect(await plane.stateOf(hold)).toBe('REVOKED');
  });

  it('asks for a reason where the tier wants one, and refuses --yes without one', async () => {
    const decision = decisionOf({ requirements: [requirementOf({ reasonRequired: true })] });
    const hold = await plane.newHold({ decision });
    expect(await run(['approve', hold.id, '--yes'], openTerminal(await as('alice')))).toBe(2);
    expect(await plane.stateOf(hold)).toBe('PENDING');
    const io = openTerminal(await as('alice'), [
      [/Why do you approve it\?/, () => 'invoice 7'],
      [CODE, ([, code]) => code ?? ''],
    ]);
    expect(await run(['approve', hold.id], io)).toBe(0);
    expect((await plane.bench.store.holds.get(hold.id))?.votes[0]?.reason).toBe('invoice 7');
  });

  it('refuses to vote twice, and says why before it asks', async () => {
    const hold = await plane.newHold({ decision: decisionOf({ requirements: [requirementOf({ count: 2 })] }) });
    expect(await run(['approve', hold.id, '--yes'], openTerminal(await as('alice')))).toBe(0);
    const io = openTerminal(await as('alice'), []);
    expect(await run(['approve', hold.id], io)).toBe(1);
    expect(io.err()).toContain('You have voted');
  });

  it.each(['agent', 'mallory'] as const)('passes on the refusal of %s', async (holder) => {
    const hold = await plane.newHold();
    const io = openTerminal(await as(holder));
    expect(await run(['approve', hold.id, '--yes'], io)).toBe(1);
    expect(io.err()).toMatch(holder === 'agent' ? /reviewer_unauthenticated/ : /hold_not_found/);
    expect(await plane.stateOf(hold)).toBe('PENDING');
  });

  it('does not approve a body that is not the one that was hashed', async () => {
    const hold = await plane.newHold();
    const tampered = await startTamperingProxy((text) => text.replace(/\\"amount\\":\d+/, '\\"amount\\":1'));
    try {
      const env = { ...(await as('alice')), COUNTERSIGN_URL: tampered.url };
      const honest = openTerminal(env);
      expect(await run(['approve', hold.id, '--yes'], honest)).toBe(1);
      expect(honest.err()).toContain('cannot be shown whole');
      expect(await plane.stateOf(hold)).toBe('PENDING');
    } finally {
      tampered.close();
    }
  });

  it('never prints the token', async () => {
    const hold = await plane.newHold();
    const env = await as('alice');
    const io = openTerminal(env);
    await run(['approve', hold.id, '--yes'], io);
    await run(['approve', hold.id, '--yes'], io);
    expect(io.out() + io.err()).not.toContain(env.COUNTERSIGN_TOKEN);
  });
});

describe('how it is called', () => {
  it.each([
    [[]],
    [['list', 'x']],
    [['show']],
    [['approve', 'a', 'b']],
    [['frobnicate', 'x']],
    [['list', '--nonsense']],
  ])('answers %j with its usage', async (args) => {
    const io = openTerminal(await as('alice'));
    expect(await run(args, io)).toBe(2);
    expect(io.err()).toContain('Usage: countersign holds');
  });

  it('sends no token in the clear over a network', async () => {
    const io = openTerminal({ COUNTERSIGN_TOKEN: 't' });
    expect(await run(['list', '--url', 'http://review.example.org'], io)).toBe(2);
    expect(await run(['list', '--url', 'http://127.0.0.1.example.org'], io)).toBe(2);
  });

  it('says how to sign in when it has neither a token nor an issuer', async () => {
    const io = openTerminal({ COUNTERSIGN_URL: plane.url });
    expect(await run(['list'], io)).toBe(2);
    expect(io.err()).toContain('COUNTERSIGN_TOKEN');
  });

  it('says that the API cannot be reached', async () => {
    const io = openTerminal({ COUNTERSIGN_TOKEN: 't', COUNTERSIGN_URL: 'http://127.0.0.1:1' });
    expect(await run(['list'], io)).toBe(1);
    expect(io.err()).toContain('cannot be reached');
  });
});

describe('signing in with the device flow', () => {
  it('lets a person approve with a sign-in of their own, in their browser', async () => {
    const hold = await plane.newHold();
    const browser = Promise.withResolvers<void>();
    const io = openTerminal({}, [
      [
        /open (\S+)\n/,
        ([, page = '']) => {
          signInOnDevice(page, 'bob').then(browser.resolve, browser.reject);
          return '';
        },
      ],
    ]);
    const args = [
      'approve',
      hold.id,
      '--yes',
      '--url',
      plane.url,
      '--issuer',
      plane.issuer.issuer,
      '--client-id',
      'countersign-cli',
      '--audience',
      'countersign-review',
    ];
    const [code] = await Promise.all([run(args, io), browser.promise]);
    expect(io.err()).toMatch(/To sign in, open http:\/\/127\.0\.0\.1:\d+\/device\?user_code=/);
    expect(code).toBe(0);
    expect((await plane.bench.store.holds.get(hold.id))?.votes).toMatchObject([
      { reviewer: { subject: 'bob', groups: ['finance'], authenticatedAt: expect.any(Number) }, decision: 'approve' },
    ]);
  });

  it('says so when the issuer refuses', async () => {
    const io = openTerminal({ COUNTERSIGN_URL: plane.url });
    expect(await run(['list', '--issuer', plane.issuer.issuer, '--client-id', 'nobody'], io)).toBe(1);
    expect(io.err()).toContain('did not succeed: invalid_client');
  });
});

/** Stands between terminal and API and changes what is shown. */
async function startTamperingProxy(change: (text: string) => string) {
  const server = createServer(async (req, res) => {
    const answer = await fetch(plane.url + req.url, { headers: { authorization: req.headers.authorization ?? '' } });
    res.writeHead(answer.status, { 'content-type': 'application/json' }).end(change(await answer.text()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}
