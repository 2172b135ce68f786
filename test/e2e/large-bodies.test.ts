// Views of reviewers over holds whose bodies are as large as may be. Kind: a list, an inbox or a stream that costs what
// agents have stored: what is answered is counted in bytes, by whole processes over sockets.

import { describe, expect } from 'vitest';
import { openConsole, type TestConsole } from '../support/console.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { createVisitor, type Visitor } from '../support/visitor.ts';

const HOLDS = 40;
const LARGE = 'x'.repeat(1_000_000);
/** Twice what the bodies of two holds would be. */
const BOUND = 2 * 1024 * 1024;

const it = gatewayTest
  .extend('testConsole', file, ({ closes }) => closes(openConsole()))
  .extend('ids', file, async ({ testConsole }) => {
    const ids: string[] = [];
    for (let n = 0; n < HOLDS; n++) ids.push(await testConsole.ask('/ledger/transfers', { n, memo: LARGE }));
    return ids;
  })
  .extend('alice', file, async ({ testConsole }) => {
    const alice = createVisitor('alice');
    await alice.fetch(await alice.signInUntilCallback(testConsole.url));
    return alice;
  });

const api = async (testConsole: TestConsole, path: string): Promise<string> => {
  const headers = { authorization: `Bearer ${await testConsole.issuer.token('alice')}` };
  return (await fetch(`${testConsole.url}/api/v1/${path}`, { headers })).text();
};
const page = async (testConsole: TestConsole, alice: Visitor, path: string): Promise<string> =>
  (await alice.fetch(`${testConsole.url}${path}`)).text();

describe('a view over forty holds of a megabyte each', () => {
  it.for(['holds', 'holds?state=all&limit=200', 'holds?state=pending,approved&limit=200'])(
    'GET /api/v1/%s answers without the bodies',
    async (path, { testConsole, ids }) => {
      const text = await api(testConsole, path);
      expect(text.length).toBeLessThan(BOUND);
      const { holds } = JSON.parse(text) as { holds: { id: string; action: Record<string, unknown> }[] };
      expect(holds.map(({ id }) => id).sort()).toEqual([...ids].sort());
      for (const { action } of holds)
        expect([action.bodyText, action.args, Number(action.bodyLength) > 1_000_000]).toEqual([
          undefined,
          undefined,
          true,
        ]);
    },
  );

  it.for(['/', '/?view=open', '/?view=recent', '/?view=open&upstream=ledger'])(
    'the inbox at %s is small, and still says what is asked',
    async (path, { testConsole, alice }) => {
      const text = await page(testConsole, alice, path);
      expect(text.length).toBeLessThan(BOUND);
      if (path !== '/?view=recent') expect(text).toContain('(1,000,000 characters)');
    },
  );

  it('the page and the API of one hold show its body whole', async ({ testConsole, ids, alice }) => {
    const [id = ''] = ids;
    expect(
      (JSON.parse(await api(testConsole, `holds/${id}`)) as { action: { bodyText: string } }).action.bodyText,
    ).toBe(JSON.stringify({ n: 0, memo: LARGE }));
    expect(await page(testConsole, alice, `/holds/${id}`)).toContain(LARGE);
  });

  it('of a hold that its agent cancelled the page says that the body is gone, and gives its digest', async ({
    testConsole,
    ids,
    alice,
  }) => {
    const id = ids.pop() ?? '';
    const before = JSON.parse(await api(testConsole, `holds/${id}`)) as {
      action: { bodyDigest: string; bodyKept: boolean };
    };
    expect(before.action.bodyKept).toBe(true);
    const headers = { authorization: `Bearer ${await testConsole.issuer.token('agent')}` };
    expect(
      (await fetch(`${testConsole.agents}/countersign/v1/holds/${id}`, { method: 'DELETE', headers })).status,
    ).toBe(200);
    const after = JSON.parse(await api(testConsole, `holds/${id}`)) as { action: Record<string, unknown> };
    expect(after.action).toMatchObject({ bodyKept: false, bodyDigest: before.action.bodyDigest });
    expect([after.action.bodyText, after.action.args]).toEqual([undefined, undefined]);
    const text = await page(testConsole, alice, `/holds/${id}`);
    expect(text).toContain('The body is no longer kept');
    expect(text).toContain(before.action.bodyDigest);
    expect(text).not.toContain(LARGE);
  });
});
