// Which suspensions cover a call. Kind of fault: a caller that is stopped under one of its names and not under another.

import { describe, expect, it } from 'vitest';
import { keysOf, type Stopped, type Suspended, stops } from '../../src/domain/suspension.ts';

const party = (issuer: string, subject: string) => ({ id: `${issuer}#${subject}`, issuer, subject });
const call = {
  principal: {
    ...party('https://idp.example', 'agent'),
    agentKey: 'client-7',
    spiffeId: 'spiffe://prod.example/ns/pay/sa/bot',
    spiffeKey: 'spiffe://prod.example/ns/*/sa/bot',
    onBehalfOf: [
      { ...party('https://idp.example', 'Walter'), person: 'oid-9' },
      { ...party('', ''), id: 'spiffe://mesh.example/planner', agentKey: 'client-8' },
    ],
  },
  action: { upstream: 'tools/search' },
  task: { id: 'task_1', ancestors: ['task_root', 'task_above'] },
};
const covers = (what: Stopped): boolean => stops(what, keysOf(call));

describe('a call is covered by a suspension of', () => {
  it.for<Stopped>([
    { principal: 'https://idp.example#agent' },
    { principal: 'spiffe://prod.example/ns/pay/sa/bot' },
    { principal: 'https://idp.example#Walter' },
    { principal: 'client-7' },
    { principal: 'client-8' },
    { principal: 'spiffe://prod.example/ns/*/sa/bot' },
    // Another id of the same agent.
    { principal: 'https://idp.example#agent-of-yesterday', agentKey: 'client-7' },
    { person: 'oid-9' },
    { person: 'walter' },
    { person: '\u{ff37}ALTER' },
    { person: 'https://idp.example#Walter' },
    { trustDomain: 'prod.example' },
    { trustDomain: 'mesh.example' },
    { task: 'task_1' },
    { task: 'task_above' },
    { task: 'task_root' },
    { upstream: 'tools' },
    { upstream: 'tools/search' },
    { everything: true },
  ])('%j', (what) => {
    expect(covers(what)).toBe(true);
  });
});

describe('a call is not covered by a suspension of', () => {
  it.for<Suspended>([
    { principal: 'agent' },
    { person: 'alice' },
    { trustDomain: 'prod.example.org' },
    { trustDomain: 'prod' },
    { task: 'task_2' },
    { upstream: 'tools/other' },
    { upstream: 'search' },
    // A name of one kind is not a name of another.
    { task: 'https://idp.example#agent' },
    { upstream: 'task_1' },
  ])('%j', (what) => {
    expect(covers(what)).toBe(false);
  });
});
