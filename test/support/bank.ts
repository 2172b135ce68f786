// The bank of test/fixtures/bank.yaml with everything around it: its identity provider, who attests tasks, its CRM, mail
// server, ledger and code host, which record what reaches them, its security team's channel, and people at the console.
// The sections about facts and rules are the file's, word for word; only addresses are replaced.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { freePort } from '../../config/quickstart/layout.ts';
import { type ClaimsIssuer, startClaimsIssuer } from './claims-issuer.ts';
import { credential, GATEWAY_AUDIENCE, type GivenConfig } from './config.ts';
import { type Environment, startEnvironment } from './environment.ts';
import { type McpUpstream, startMcpUpstream } from './mcp-upstream.ts';
import { startIssuer, type TestIssuer } from './oidc-issuer.ts';
import { openPasskeyReviewer, type PasskeyReviewer } from './passkey-reviewer.ts';
import { written } from './reads-and-sends.ts';
import { type Recorder, startRecorder } from './recorder.ts';
import type { ReviewerClient } from './reviewer-client.ts';
import { bundleDocument, createAuthority } from './spiffe-authority.ts';

export const BANK_FILE = 'test/fixtures/bank.yaml';
const LEDGER = 'https://ledger.bank.example';

export interface Bank {
  readonly env: Environment;
  readonly crm: Recorder;
  readonly mail: McpUpstream;
  readonly ledger: Recorder;
  readonly code: Recorder;
  /** What the security team was told. */
  readonly soc: Recorder;
  /** The tokens that were made for the ledger. */
  readonly ledgerTokens: readonly string[];
  /** A token that attests a task of this transaction for a call of this person by this client. */
  taskToken(person: string, client: string, txn: string): Promise<string>;
  /** Votes by the API, as anybody of these groups. */
  reviewer(person: string, groups: readonly string[]): Promise<ReviewerClient>;
  /** Votes at the console, with a passkey. */
  atConsole(person: string, groups: readonly string[]): Promise<PasskeyReviewer>;
  close(): Promise<void>;
}

interface Places {
  readonly crm: string;
  readonly mail: string;
  readonly ledger: string;
  readonly code: string;
  readonly soc: string;
  readonly tasks: string;
  readonly login: string;
  readonly port: number;
  readonly issuer: string;
  readonly folder: string;
}

/** The file, with the addresses of this test. */
// biome-ignore lint/suspicious/noExplicitAny: the file is edited by its members
function configOf(places: Places): any {
  const bank = parse(readFileSync(BANK_FILE, 'utf8'));
  const [corp, prod] = bank.identity.issuers;
  const { issuer: _corp, ...testIssuer } = corp;
  const minted = { ...bank.credentials.ledger, issuer: places.issuer, clientSecret: { env: 'MINT_SECRET' } };
  const oidc = { groupsClaim: 'groups', personClaim: 'oid' };
  return {
    ...bank,
    testIssuer,
    identity: {
      audience: [...bank.identity.audience, GATEWAY_AUDIENCE],
      issuers: [prod],
      taskIssuers: bank.identity.taskIssuers.map((entry: object) => ({ ...entry, issuer: places.tasks })),
    },
    listeners: { reviewers: { address: `127.0.0.1:${places.port}`, url: `http://localhost:${places.port}` } },
    reviewers: { ...bank.reviewers, login: { ...bank.reviewers.login, issuer: places.login }, api: oidc },
    upstreams: {
      crm: { ...bank.upstreams.crm, url: places.crm },
      mail: { ...bank.upstreams.mail, url: places.mail },
      ledger: { ...bank.upstreams.ledger, url: places.ledger },
      code: { ...bank.upstreams.code, url: places.code },
    },
    credentials: {
      crm: credential.bearer('E2E_SECRET'),
      mail: credential.bearer('E2E_SECRET'),
      ledger: minted,
      'github-app': credential.bearer('E2E_SECRET'),
    },
    notifications: {
      channels: { soc: { ...bank.notifications.channels.soc, url: places.soc, allowPrivateAddresses: true } },
    },
    store: { type: 'sqlite', path: './data/store.db' },
    limits: { wait: '0s', pendingPerAgent: 1000 },
  };
}

export async function openBank(): Promise<Bank> {
  const [crm, mail, ledger, code, soc] = await Promise.all([
    startRecorder(),
    startMcpUpstream(),
    startRecorder(),
    startRecorder(),
    startRecorder(),
  ]);
  mail.tools.push({ name: 'send_mail', description: 'Sends mail.', inputSchema: { type: 'object' } });
  const [tasks, login, port, authority]: [
    TestIssuer,
    ClaimsIssuer,
    number,
    Awaited<ReturnType<typeof createAuthority>>,
  ] = await Promise.all([
    startIssuer({ clients: [{ id: 'unused', secret: 'unused' }] }),
    startClaimsIssuer('console'),
    freePort(),
    createAuthority('prod.bank.example'),
  ]);
  const ledgerTokens: string[] = [];
  const close = async () => {
    login.close();
    await Promise.all([crm, mail, ledger, code, soc, tasks].map((one) => one.close()));
  };
  const env = await startEnvironment(
    ({ issuer, folder }): GivenConfig => {
      writeFileSync(join(folder, 'prod.json'), bundleDocument([authority]));
      const at = { crm: crm.origin, mail: mail.url, ledger: ledger.origin, code: code.origin, soc: soc.origin };
      return written(configOf({ ...at, tasks: tasks.issuer, login: login.url, port, issuer, folder }));
    },
    {
      issuer: {
        clients: [{ id: 'gateway', secret: 'mint-secret-of-the-bank' }],
        resources: { [LEDGER]: { scope: 'pay' } },
        alter: (answer) => {
          ledgerTokens.push(String(answer.access_token));
          return answer;
        },
      },
      env: {
        MINT_SECRET: 'mint-secret-of-the-bank',
        SOC_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
      },
    },
  ).catch(async (fault) => {
    await close();
    throw fault;
  });
  return {
    ...{ env, crm, mail, ledger, code, soc, ledgerTokens },
    taskToken: (person, client, txn) =>
      tasks.sign(
        {
          ...{ aud: GATEWAY_AUDIENCE, txn, sub: person, scope: 'payouts' },
          act: { sub: client, iss: env.issuer.issuer },
          tctx: { objective: 'pay the invoices of June', owner: 'orchestrator' },
        },
        { typ: 'txntoken+jwt' },
      ),
    reviewer: (person, groups) => env.reviewer(person, groups, { oid: `oid-${person}` }),
    atConsole: (person, groups) => {
      login.claims = { sub: person, groups, oid: `oid-${person}` };
      return openPasskeyReviewer(`http://localhost:${port}`, person);
    },
    async close() {
      await env.close();
      await close();
    },
  };
}
