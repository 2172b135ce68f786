// The requests that the pages show, each `curl` in a block for a terminal, sent to a running gateway. The pages name
// public addresses and an upstream called ledger; here they are this gateway's.

import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { REVIEW_AUDIENCE } from '../support/config.ts';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({ reviewers: { killSwitch: ['group:soc'] } }),
);

/** What each page's requests answer, in the order of the page. */
const ANSWERS: Readonly<Record<string, readonly { readonly status: number; readonly says: string }[]>> = {
  'README.md': [
    { status: 200, says: '"ok":true' },
    { status: 409, says: '"approval_pending"' },
  ],
  'docs/agents.md': [
    { status: 409, says: '"approval_pending"' },
    { status: 201, says: '"revision":1' },
  ],
  'docs/normal-forms.md': [{ status: 400, says: '"bad_json"' }],
  'docs/operations.md': [{ status: 200, says: '"ready":true' }],
  'docs/kill-switch.md': [{ status: 201, says: '"revokedHolds":0' }],
};

interface PageRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** The words of a command as a shell reads them, as far as the pages quote: '…', "…" and none. */
const wordsOf = (command: string): readonly string[] =>
  [...command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'),
  );

function readRequest(command: string): PageRequest {
  const [, ...words] = wordsOf(command);
  const after = (option: string): readonly string[] =>
    words.flatMap((word, at) => (words[at - 1] === option ? [word] : []));
  const [body] = after('-d');
  const headers = after('-H').map((field) => field.split(/: (.*)/s, 2) as [string, string]);
  return {
    url: words.find((word) => /^https?:/.test(word)) ?? '',
    method: after('-X')[0] ?? (body === undefined ? 'GET' : 'POST'),
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    body,
  };
}

function requestsOn(page: string): readonly PageRequest[] {
  const blocks = readFileSync(page, 'utf8').matchAll(/^```(?:sh|console)\n([\s\S]*?)^```/gm);
  const commands = [...blocks].flatMap(([, block = '']) => block.replaceAll(/ \\\n\s*/g, ' ').split('\n'));
  return commands.flatMap((line) => {
    const command = line.replace(/^\$ /, '');
    return /^curl .*https?:/.test(command) ? [readRequest(command)] : [];
  });
}

/** Each of the three listeners by the address that the pages call it by. */
async function send(env: Environment, { url, method, headers, body }: PageRequest): Promise<Response> {
  const { pathname, host } = new URL(url);
  const isReview = host === 'review.example.org';
  const port = isReview ? env.ports.reviewers : host.endsWith(':8082') ? env.ports.ops : env.ports.agents;
  const person = { aud: REVIEW_AUDIENCE, client_id: 'countersign-cli', groups: ['soc'], sid: 'session-1' };
  const token = isReview ? await env.token('sam', person) : await env.token('agent-1');
  return fetch(`http://127.0.0.1:${port}${pathname.replace('/ledger/', '/api/')}`, {
    method,
    headers: {
      // A held call would wait.
      prefer: 'wait=0',
      ...headers,
      ...(headers.authorization !== undefined && { authorization: `Bearer ${token}` }),
    },
    ...(body !== undefined && { body }),
  });
}

it.for(Object.entries(ANSWERS))('%s', async ([page, answers], { env }) => {
  const requests = requestsOn(page);
  expect(requests).toHaveLength(answers.length);
  for (const [at, request] of requests.entries()) {
    const response = await send(env, request);
    expect(await response.text()).toContain(answers[at]?.says);
    expect(response.status).toBe(answers[at]?.status);
  }
});
