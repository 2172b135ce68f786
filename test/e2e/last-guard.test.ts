// What nobody catches must not end the process in the middle of calls that are sent. Kind: any fault that escapes,
// whatever its form. It is planted by a module that the gateway's process loads first.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { startEnvironment } from '../support/environment.ts';
import { gatewayTest } from '../support/gateway-test.ts';

const it = gatewayTest;

const FAULTS: Readonly<Record<string, string>> = {
  'an exception that is no error, in a timer': `setTimeout(() => { throw undefined; }, 0)`,
  'a rejected promise': `void Promise.reject(new Error('planted'))`,
  'several at once, one of them an error event without a listener': `for (let i = 0; i < 3; i++) setImmediate(() => { throw new Error('planted'); }); new (require('node:net').Socket)().destroy(new Error('planted'))`,
};

describe('a fault that nobody catches', () => {
  it.for(Object.entries(FAULTS))('ends the process in order: %s', async ([_name, code], { folder }) => {
    const planted = join(folder, `${Object.values(FAULTS).indexOf(code)}.cjs`);
    writeFileSync(planted, `process.on('SIGUSR2', () => { ${code}; });`);
    const env = await startEnvironment({}, { env: { NODE_OPTIONS: `--require ${planted}` } });
    try {
      const answer = Promise.withResolvers<void>();
      env.upstream.respond((_request, response) => void answer.promise.then(() => response.end('{"done":true}')));
      const call = env.call('/api/a');
      await env.upstream.arrived(0);
      process.kill(env.pid, 'SIGUSR2');
      const line = await env.logged('countersign.process.fault');
      const ready = await fetch(`http://127.0.0.1:${env.ports.ops}/readyz`);
      expect([ready.status, await ready.json()]).toMatchObject([503, { accepting: false }]);
      answer.resolve();
      const response = await call;
      expect([response.status, await response.json()]).toEqual([200, { done: true }]);
      expect(await env.terminate()).toBe(70);
      expect(JSON.stringify(line)).not.toContain('"planted"');
    } finally {
      await env.close();
    }
  });
});
