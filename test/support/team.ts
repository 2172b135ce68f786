// Three agents that settle claims together, before a real console: a lead, a reader and a writer, of one issuer. The
// writer's letter waits for people.

import { rule } from './config.ts';
import { AUDIENCE, openConsole, type TestConsole } from './console.ts';
import { startIssuer } from './oidc-issuer.ts';
import { startRecorder } from './recorder.ts';

export interface Team {
  readonly testConsole: TestConsole;
  /** The id of the root task. */
  readonly root: string;
  /** The hold of the writer's letter. */
  readonly hold: string;
  readonly agents: { readonly lead: string; readonly reader: string; readonly writer: string };
  close(): Promise<void>;
}

export async function assembleTeam(): Promise<Team> {
  const [issuer, crm, mail] = await Promise.all([
    startIssuer({ clients: [{ id: 'unused', secret: 'unused-secret' }] }),
    startRecorder(),
    startRecorder(),
  ]);
  const testConsole = await openConsole({
    issuers: [{ name: 'team', type: 'oidc', issuer: issuer.issuer, algorithms: ['ES256'] }],
    upstreams: { crm: { url: crm.origin }, mail: { url: mail.origin } },
    taints: { 'customer-data': {} },
    resources: [
      {
        id: 'customers',
        match: { upstream: 'crm', path: '/customers/*' },
        data: 'confidential',
        taints: ['customer-data'],
      },
      {
        id: 'letters',
        match: { upstream: 'mail', methods: ['POST'], path: '/letters' },
        operation: 'export',
        reversible: false,
        environment: 'production',
        owners: ['group:finance'],
        sendsTo: ['args.to'],
      },
    ],
    meters: { letters: { match: { upstream: 'mail', methods: ['POST'] }, per: ['agent', 'root'], window: '24h' } },
    rules: [
      rule.allow('crm-reads', { upstream: 'crm', methods: ['GET'] }),
      rule.deny('crm-deletions', { upstream: 'crm', methods: ['DELETE'] }),
      rule.allow('letters', { upstream: 'mail', methods: ['POST'] }),
      rule.hold(
        'leak',
        { upstream: 'mail', methods: ['POST'] },
        { when: '"customer-data" in tainted && action.destination == "external"', tier: 'payment' },
      ),
      rule.hold(
        'new-letters',
        { upstream: 'mail', methods: ['POST'] },
        { when: 'meter.letters > 20 || novel.destination', tier: 'payment' },
      ),
    ],
  });
  /** A call by one of them. The reader and the writer act for the lead, and all of them for carol. */
  const call = async (agent: string, path: string, { method = 'POST', body, task }: Shape = {}) => {
    const lead = { sub: 'lead' };
    const token = await issuer.sign({
      sub: 'carol',
      aud: AUDIENCE,
      act: agent === 'lead' ? lead : { sub: agent, act: lead },
    });
    return fetch(testConsole.agents + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        prefer: 'wait=0',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(task !== undefined && { 'countersign-task': task }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  };
  const open = async (agent: string, objective: string, parent?: string): Promise<string> => {
    const body = { objective, plan: [], labels: [], ...(parent !== undefined && { parent }) };
    return ((await (await call(agent, '/countersign/v1/tasks', { body })).json()) as { readonly id: string }).id;
  };
  const root = await open('lead', 'Settle the water damage claims of November');
  const reading = await open('reader', 'Collect what the customers wrote', root);
  const writing = await open('writer', 'Answer each customer', root);
  for (const path of ['/crm/customers/41', '/crm/customers/42'])
    await (await call('reader', path, { method: 'GET', task: reading })).text();
  await (await call('reader', '/crm/customers/42', { method: 'DELETE', task: reading })).text();
  await (await call('lead', '/crm/claims', { method: 'GET', task: root })).text();
  const letter = { to: 'dana@example.net', subject: 'Your claim', text: 'We pay 1,240 euros for the damage.' };
  const held = await call('writer', '/mail/letters', { body: letter, task: writing });
  await held.text();
  const named = (subject: string) => `${issuer.issuer}#${subject}`;
  return {
    testConsole,
    root,
    hold: held.headers.get('countersign-hold') ?? '',
    agents: { lead: named('lead'), reader: named('reader'), writer: named('writer') },
    async close() {
      await testConsole.close();
      await Promise.all([issuer.close(), crm.close(), mail.close()]);
    },
  };
}

interface Shape {
  readonly method?: string;
  readonly body?: unknown;
  readonly task?: string;
}
