// Kind: any sentence (problem document, tool result, JSON-RPC error, 202, task status) that says more of a call's
// effect than is known. Every code of the table goes through every plane, with and without what whoever threw it knows.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AnswerTo, tell } from '../../src/domain/telling.ts';
import { ERRORS, type ErrorCode, type Executed, GatewayError } from '../../src/errors.ts';
import { renderMcpRefusal } from '../../src/mcp/refusal.ts';
import { taskResult, taskView } from '../../src/mcp/tasks/views.ts';
import { accepted, problem } from '../../src/problem.ts';
import { mcpOf } from '../support/mcp-message.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];
const known: readonly (Executed | undefined)[] = [undefined, 'no', 'maybe', 'unsaid'];
const DETAIL = 'What happened stands here.';

/** What a text says of the effect, and how often. */
function claims(text: string): { readonly no: number; readonly maybe: number } {
  const count = (of: RegExp) => [...text.matchAll(of)].length;
  return {
    no: count(/(nothing|not|never) (was |been )*(executed|sent|done)/gi),
    maybe: count(/(may|might) have (taken|had) effect/gi),
  };
}

const CLAIMS: Readonly<Record<Executed, ReturnType<typeof claims>>> = {
  no: { no: 1, maybe: 0 },
  maybe: { no: 0, maybe: 1 },
  unsaid: { no: 0, maybe: 0 },
};

const FACTS = { taskId: 'countersign.hold_1', createdAt: 0, updatedAt: 0, ttlMs: 1 };
const rpc = (error: GatewayError, method: string) =>
  JSON.parse(renderMcpRefusal(error, { mcp: mcpOf({ method, id: 1 }) })?.body ?? '{}');

/** Where an error is told: the text that a person or a model reads there, and what it is an answer to. */
const PLANES: Readonly<Record<string, readonly [AnswerTo, (error: GatewayError) => string]>> = {
  'a call over HTTP': ['call', (error) => JSON.parse(problem(error, { requestId: 'r', to: 'call' }).body).detail],
  'the message that SDKs look for': [
    'call',
    (error) => JSON.parse(problem(error, { requestId: 'r', to: 'call' }).body).error.message,
  ],
  'a call that prefers an asynchronous answer': [
    'call',
    (error) => JSON.parse(accepted(error, { requestId: 'r', to: 'call' }).body).detail,
  ],
  'the gateway’s own endpoints and the reviewers’': [
    'question',
    (error) => JSON.parse(problem(error, { requestId: 'r' }).body).detail,
  ],
  'a tool call': [
    'call',
    (error) =>
      error.code === 'header_mismatch'
        ? rpc(error, 'tools/call').error.message
        : rpc(error, 'tools/call').result.content[0].text,
  ],
  'another MCP request': ['call', (error) => rpc(error, 'resources/read').error.message],
  'a poll of a task': ['question', (error) => rpc(error, 'tasks/get').error.message],
  'an attempt to cancel a task': ['question', (error) => rpc(error, 'tasks/cancel').error.message],
  'the status of a core task': [
    'question',
    (refusal) => String(taskView('core', FACTS, { status: 'refused', refusal, cancelled: false }).statusMessage),
  ],
  'the result of an ended task': [
    'question',
    (refusal) => {
      const outcome = taskResult(FACTS, { status: 'refused', refusal, cancelled: false });
      return 'result' in outcome ? String((outcome.result.content as { text: string }[])[0]?.text) : '';
    },
  ],
};

describe.each(Object.entries(PLANES))('%s', (_plane, [to, read]) => {
  it('says of the effect what is known, once, whatever the code', () => {
    for (const code of codes) {
      for (const executed of known) {
        const text = read(new GatewayError(code, DETAIL, executed === undefined ? {} : { executed }));
        const expected = executed ?? (to === 'call' ? ERRORS[code].executed : 'unsaid');
        expect([code, executed, claims(text)]).toEqual([code, executed, CLAIMS[expected]]);
      }
    }
  });

  it('says what happened and what to do once each, and the wait in one place', () => {
    for (const code of codes) {
      const text = read(new GatewayError(code, DETAIL, { holdId: 'hold_1', retryAfter: 30 }));
      for (const part of [DETAIL, ERRORS[code].remedy, 'hold_1', '30'])
        expect([code, part, text.split(part).length - 1]).toEqual([code, part, 1]);
      // MCP has no fields of HTTP, and what HTTP has is not said twice.
      expect(text).not.toContain('Retry-After');
    }
  });
});

it('keeps what was known first: whoever catches an error knows less than whoever threw it', () => {
  const error = new GatewayError('principal_suspended', DETAIL);
  expect([error.executed, error.knowing('maybe').executed, error.knowing('maybe').knowing('no').executed]).toEqual([
    'no',
    'maybe',
    'maybe',
  ]);
  expect(tell(error.knowing('maybe'), 'call')).not.toMatch(/nothing was executed/i);
});

it('lets nobody but the authors of that fact write of it: no detail, title or remedy does', () => {
  // Where a state machine says it of its own states, or the sentence itself is made.
  const authors = new Set([
    'src/domain/telling.ts',
    'src/errors/kinds.ts',
    'src/agent-api/holds.ts',
    'src/mcp/tasks/task-run.ts',
    'src/mcp/held-stream.ts',
    'src/review/pages/decision-panel.ts',
  ]);
  const writers = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', name))
    .filter((name) =>
      /['"`>].*(nothing was (sent|executed|done)|was not executed|not executed|may have (taken|had) effect)/i.test(
        readFileSync(name, 'utf8'),
      ),
    );
  expect(writers.filter((name) => !authors.has(name))).toEqual([]);
  for (const { title, remedy } of Object.values(ERRORS)) expect(claims(title + remedy)).toEqual(CLAIMS.unsaid);
});
