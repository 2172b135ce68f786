// A whole bank, as test/fixtures/bank.yaml describes it: its stories end to end, with real issuers, people at the
// console, and upstreams that record what reaches them. Kind: parts that work alone and not together.

import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { BANK_FILE, type Bank, openBank } from '../support/bank.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { connectV1 } from '../support/mcp-clients.ts';
import { type Agent, newAgent, openTask, type ToolResult } from '../support/reads-and-sends.ts';
import { answered } from './held.ts';

const it = gatewayTest.extend('bank', file, ({ closes }) => closes(openBank()));

/** A person and the client that acts for her; a session of its own. */
const workingFor = (person: string, client = newAgent('client').as): Agent => ({
  as: person,
  claims: { client_id: client, oid: `oid-${person}`, sid: randomUUID() },
});
const somebody = () => workingFor(newAgent('person').as);

interface Sent {
  readonly task?: string;
  readonly token?: string;
  readonly body?: object;
  readonly method?: string;
}

const call = ({ env }: Bank, { as, claims, task }: Agent, path: string, { token, body, method }: Sent = {}) =>
  answered(
    env.call(path, {
      ...{ as, method: method ?? (body === undefined ? 'GET' : 'POST'), ...(claims && { claims }) },
      ...(body && { body }),
      headers: {
        prefer: 'wait=0',
        ...(task !== undefined && { 'countersign-task': task }),
        ...(token !== undefined && { 'countersign-task-token': token }),
      },
    }),
  );

const readCustomer = (bank: Bank, agent: Agent) => call(bank, agent, '/crm/customers/7');

async function mail(bank: Bank, { as, claims }: Agent, args: Record<string, unknown>): Promise<ToolResult> {
  const { client } = await connectV1(bank.env, 'mail', { as, claims });
  return (await client.callTool({ name: 'send_mail', arguments: args })) as ToolResult;
}
const codeOf = ({ isError, _meta }: ToolResult) => (isError === true ? _meta?.['countersign/code'] : 'sent');

/** Rules that `check` warns of in this file, on purpose: mail that nothing marks goes out by a shared credential. */
const WARNED = /^\S+ warning: rules\[1\]\.mint: /;

it('the file is valid as it is written', async ({ folder }) => {
  const path = join(folder, 'bank.yaml');
  writeFileSync(path, readFileSync(BANK_FILE));
  writeFileSync(join(folder, 'prod.json'), '{"keys":[]}');
  const { stdout } = await promisify(execFile)(process.execPath, ['src/main.ts', 'check', path], {
    env: {
      ...process.env,
      GATEWAY_SECRET: 'x',
      GITHUB_APP_KEY: 'x',
      SOC_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
    },
  });
  const said = stdout.trimEnd().split('\n');
  expect(said.filter((line) => !WARNED.test(line))).toEqual(['ok']);
});

describe('the CRM', () => {
  it('is read under a task only', async ({ bank }) => {
    const agent = somebody();
    expect(await readCustomer(bank, agent)).toMatchObject({ status: 403, code: 'task_required' });
    expect(await readCustomer(bank, await openTask(bank.env, agent))).toMatchObject({ status: 200 });
    expect(await call(bank, await openTask(bank.env, agent), '/crm/customers/7', { body: {} })).toMatchObject({
      code: 'no_matching_rule',
    });
  });

  it('refuses a token without the claim that says who the person is', async ({ bank }) => {
    const nobody: Agent = { as: 'nobody', claims: { client_id: 'c' } };
    expect(await readCustomer(bank, nobody)).toMatchObject({ status: 403, code: 'person_unknown' });
  });
});

describe('mail', () => {
  it('goes out freely before a customer was read, and waits for the owner afterwards', async ({ bank }) => {
    const agent = somebody();
    const [outside, inside] = [
      { to: 'a@else.example', text: 'x' },
      { to: 'a@mail.bank.example', text: 'x' },
    ];
    expect(codeOf(await mail(bank, agent, outside))).toBe('sent');
    expect((await readCustomer(bank, await openTask(bank.env, agent))).status).toBe(200);
    expect(codeOf(await mail(bank, agent, inside))).toBe('sent');
    expect(codeOf(await mail(bank, agent, { to: 'a@sub.acme.example' }))).toBe('sent');
    for (const args of [outside, { ...inside, cc: ['b@else.example'] }, { ...inside, bcc: 'mailto:b@else.example' }])
      expect([args, codeOf(await mail(bank, agent, args))]).toEqual([args, 'approval_pending']);
  });

  it('of a marked agent is sent when the owner approves, and by nobody else', async ({ bank }) => {
    const person = newAgent('person').as;
    const agent = workingFor(person);
    await readCustomer(bank, await openTask(bank.env, agent));
    const args = { to: 'a@else.example', text: randomUUID() };
    const { client } = await connectV1(bank.env, 'mail', { as: agent.as, claims: agent.claims });
    const held = (await client.callTool({ name: 'send_mail', arguments: args })) as ToolResult;
    const hold = String(held._meta?.['countersign/hold']);
    const [owner, other, herself] = await Promise.all([
      bank.reviewer('olga', ['crm-owners']),
      bank.reviewer('fred', ['finance']),
      bank.reviewer(person, ['crm-owners']),
    ]);
    expect((await other.request(`/holds/${hold}`)).status).toBe(404);
    // The person whom the call is for, by her claim, whatever group she is in.
    expect((await herself.vote(hold, 'approve')).status).toBe(403);
    const seen = JSON.stringify(await owner.show(hold));
    for (const text of ['customer-data', 'a@else.example', 'external', 'crm-owners']) expect(seen).toContain(text);
    await owner.approve(hold);
    expect(codeOf((await client.callTool({ name: 'send_mail', arguments: args })) as ToolResult)).toBe('sent');
    expect(bank.mail.ran.filter((one) => one.args.text === args.text)).toHaveLength(1);
  });

  it('of another client of the same person waits as well', async ({ bank }) => {
    const person = newAgent('person').as;
    await readCustomer(bank, await openTask(bank.env, workingFor(person)));
    expect(codeOf(await mail(bank, workingFor(person), { to: 'a@else.example' }))).toBe('approval_pending');
    expect(codeOf(await mail(bank, somebody(), { to: 'a@else.example' }))).toBe('sent');
  });

  it('is freed by a declassification of the data protection office, and only by that', async ({ bank }) => {
    const person = newAgent('person').as;
    const agent = workingFor(person);
    await readCustomer(bank, await openTask(bank.env, agent));
    const id = `${bank.env.issuer.issuer}#${person}`;
    const lift = (scope: string, key: string) => ({ taint: 'customer-data', scope, key, reason: 'public already' });
    const [fred, herself, dora] = [
      await bank.reviewer('fred', ['finance']),
      await bank.reviewer(person, ['dpo']),
      await bank.reviewer('dora', ['dpo']),
    ];
    expect((await fred.post('/declassifications', lift('person', id))).status).toBe(403);
    expect((await herself.post('/declassifications', lift('person', id))).status).toBe(403);
    // She is marked under each of her names, and as what her client acts for. Each is lifted by itself.
    const marks = [lift('person', id), lift('person', person), lift('person', `oid-${person}`), lift('agent', id)];
    for (const mark of marks) expect((await dora.post('/declassifications', mark)).status).toBe(201);
    // The mark of the client itself is another one.
    expect(codeOf(await mail(bank, agent, { to: 'a@else.example' }))).toBe('approval_pending');
    expect(codeOf(await mail(bank, workingFor(person), { to: 'a@else.example' }))).toBe('sent');
  });
});

describe('a payout', () => {
  const pay = async (bank: Bank, agent: Agent, amount: number, iban: string, txn: string) => {
    const token = await bank.taskToken(agent.as, String(agent.claims?.client_id), txn);
    return call(bank, agent, '/ledger/payouts', { token, body: { amount, iban } });
  };

  it('needs an attested task', async ({ bank }) => {
    const agent = somebody();
    const body = { amount: 1, iban: 'DE89 3704 0044 0532 0130 00' };
    expect(await call(bank, agent, '/ledger/payouts', { body })).toMatchObject({ code: 'task_required' });
    const declared = await openTask(bank.env, agent);
    expect(await call(bank, declared, '/ledger/payouts', { body })).toMatchObject({ code: 'task_required' });
    expect(bank.ledger.requests).toEqual([]);
  });

  it('to a new account waits for two people with passkeys, and to a known one passes', async ({ bank }) => {
    const agent = somebody();
    const [iban, txn] = ['DE89 3704 0044 0532 0130 00', randomUUID()];
    const [cfo, risk] = [await bank.atConsole('cfo', []), await bank.atConsole('rita', ['risk'])];
    const held = await pay(bank, agent, 100, iban, txn);
    expect(held).toMatchObject({ status: 409, code: 'approval_pending' });
    // A bearer token is never a passkey.
    const bearer = await bank.reviewer('rudi', ['risk']);
    expect((await answered(bearer.vote(held.hold, 'approve', { reason: 'fine' }))).code).toBe('assurance_required');
    expect(await risk.decideUnsigned(held.hold, 'approve')).toBe(401);
    await risk.decide(held.hold, 'approve');
    expect((await pay(bank, agent, 100, iban, txn)).code).toBe('approval_pending');
    await cfo.decide(held.hold, 'approve');
    expect((await pay(bank, agent, 100, iban, txn)).status).toBe(200);
    const made = bank.ledgerTokens.length;
    expect((await pay(bank, agent, 200, iban, txn)).status).toBe(200);
    // Minted for this call alone, and gone with it.
    expect(bank.ledgerTokens).toHaveLength(made + 1);
    await expect.poll(() => bank.env.issuer.isActive(bank.ledgerTokens.at(-1) ?? '')).toBe(false);
    // The sum counts, also for another client of the same person.
    const other = workingFor(agent.as);
    expect((await pay(bank, agent, 4800, iban, randomUUID())).code).toBe('approval_pending');
    expect((await pay(bank, other, 4800, iban, randomUUID())).code).toBe('approval_pending');
  });

  it('without a session is refused where the tier binds it', async ({ bank }) => {
    const { claims, ...rest } = somebody();
    const agent = { ...rest, claims: { ...claims, sid: undefined } };
    expect(await pay(bank, agent, 100, 'DE02 1203', randomUUID())).toMatchObject({ code: 'session_required' });
  });

  it('beyond the daily limit is denied with the bank’s words', async ({ bank }) => {
    const denied = await pay(bank, somebody(), 50_001, 'DE02 1203', randomUUID());
    expect(denied).toMatchObject({ status: 403, code: 'denied' });
    expect(denied.text).toContain('The daily limit for payouts is reached.');
  });

  it('that is refused five times suspends the task, tells the security team, and nobody else', async ({ bank }) => {
    const person = newAgent('person').as;
    const [agent, txn] = [workingFor(person), randomUUID()];
    const told = bank.soc.requests.length;
    for (let n = 0; n < 5; n++) expect((await pay(bank, agent, 60_000 + n, 'DE02 1203', txn)).code).toBe('denied');
    expect((await pay(bank, agent, 1, 'DE02 1203', txn)).code).toBe('principal_suspended');
    expect((await pay(bank, agent, 1, 'DE02 1203', randomUUID())).code).toBe('approval_pending');
    await bank.soc.arrived(told);
  });
});

describe('code', () => {
  const write = (bank: Bank, agent: Agent, repo: string) =>
    call(bank, agent, `/code/repos/bank/${repo}/issues`, { body: { title: randomUUID() } });

  it('is read freely, and written with the platform’s consent', async ({ bank }) => {
    const agent = somebody();
    expect((await call(bank, agent, '/code/repos/bank/shop/issues')).status).toBe(200);
    const held = await write(bank, agent, 'shop');
    expect(held.code).toBe('approval_pending');
    const platform = await bank.reviewer('paula', ['platform']);
    expect(JSON.stringify((await platform.show(held.hold)).rules)).not.toContain('second-repo');
    const stranger = await bank.reviewer('olga', ['crm-owners']);
    expect((await stranger.request(`/holds/${held.hold}`)).status).toBe(404);
    await platform.approve(held.hold);
    expect((await platform.show(held.hold)).state).toBe('APPROVED');
  });

  it('in a second repository rests on one more rule', async ({ bank }) => {
    const agent = somebody();
    const platform = await bank.reviewer('paula', ['platform']);
    expect((await write(bank, agent, 'shop')).code).toBe('approval_pending');
    const second = await write(bank, agent, 'till');
    const shown = await platform.show(second.hold);
    expect(JSON.stringify(shown.rules)).toContain('second-repo');
    expect(JSON.stringify(shown.rules)).not.toContain('leak-code');
  });

  it('of an agent that has read a customer rests on one more', async ({ bank }) => {
    const agent = await openTask(bank.env, somebody());
    await readCustomer(bank, agent);
    const held = await write(bank, agent, 'shop');
    const platform = await bank.reviewer('paula', ['platform']);
    expect(JSON.stringify((await platform.show(held.hold)).rules)).toContain('leak-code');
  });
});
