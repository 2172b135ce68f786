// A label of sensitivity that is compared as a text: "public" is greater than "confidential" there. And a label that is
// misspelled, or that nothing gives. Kind: an order that the language of conditions does not know.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { get, newAgent, worldTest } from '../../support/reads-and-sends.ts';

const LABELS = ['public', 'internal', 'confidential', 'restricted'] as const;

const it = worldTest({
  resources: LABELS.map((data) => ({ id: data, match: { upstream: 'api', path: `/${data}/*` }, data })),
  rules: [
    rule.allow('http', { upstream: 'api' }),
    rule.hold('secret', { upstream: 'api' }, { when: 'atLeast(action.data, "confidential")' }),
  ],
});

/** What `check` says about the configuration with this condition. */
async function check(env: Environment, when: string): Promise<{ readonly code: number; readonly text: string }> {
  const path = env.variant(`checked-${newAgent().as}`, ({ rules }) => {
    rules.push(rule.hold('probe', { upstream: 'api' }, { when }));
  });
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['src/main.ts', 'check', path], {
      env: { ...process.env, E2E_SECRET: 'x' },
    });
    return { code: 0, text: stdout + stderr };
  } catch (fault) {
    const { code, stdout, stderr } = fault as { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  }
}

describe('a label', () => {
  // As texts, "public" > "confidential".
  it.for([
    ['public', 'sent'],
    ['internal', 'sent'],
    ['confidential', 'approval_pending'],
    ['restricted', 'approval_pending'],
    ['unclassified', 'approval_pending'],
  ] as const)('%s is in its place', async ([label, outcome], { env }) => {
    expect(await get(env, `/api/${label}/1`, newAgent())).toBe(outcome);
  });

  // What matches twice is not weakened by the weaker one.
  it('is the highest of all that match', async ({ env }) => {
    await env.edit((config) => {
      const given = config as unknown as { resources: object[] };
      given.resources = [
        ...given.resources,
        { id: 'late', match: { upstream: 'api', path: '/restricted/*' }, data: 'public' },
      ];
    });
    expect(await get(env, '/api/restricted/1', newAgent())).toBe('approval_pending');
  });

  it.for(['<', '<=', '>', '>='])('is not compared by %s', async (operator, { env }) => {
    const said = await check(env, `action.data ${operator} "confidential"`);
    expect(said.code).not.toBe(0);
    expect(said.text).toContain('atLeast');
    expect((await check(env, `"confidential" ${operator} action.data`)).text).toContain('atLeast');
  });

  it('that does not exist is a fault that names the one that was meant', async ({ env }) => {
    for (const when of [
      'action.data == "confidental"',
      'atLeast(action.data, "confidental")',
      'action.data in ["confidental"]',
    ]) {
      const said = await check(env, when);
      expect(said.code).not.toBe(0);
      expect(said.text).toMatch(/did you mean.{1,4}confidential/i);
    }
    expect((await check(env, 'action.data == "confidential"')).code).toBe(0);
  });
});
