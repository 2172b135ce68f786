// The operators' listener names credentials and callers to whoever can read it. Kind: a page in an operator's browser
// that reads it under a name of its own, which it had resolve to this address (DNS rebinding). And what probes and
// scrapers send must go on working.

import { describe, expect } from 'vitest';
import type { Environment } from '../support/environment.ts';
import { file, gatewayTest } from '../support/gateway-test.ts';
import { sendRaw } from '../support/raw-http.ts';

const it = gatewayTest.extend('env', file, ({ environment }) =>
  environment({ listeners: { ops: { hosts: ['countersign', 'metrics.example.org:9090'] } } }),
);

const PATHS = ['/livez', '/readyz', '/metrics', '/credentials/outstanding'];
const get = (env: Environment, path: string, ...hosts: readonly string[]) =>
  sendRaw(
    env.ports.ops,
    [`GET ${path} HTTP/1.1`, ...hosts.map((host) => `Host: ${host}`), 'Connection: close', '', ''].join('\r\n'),
  );

describe('the operators’ listener', () => {
  it.for([
    ['its own address', '127.0.0.1:8082'],
    ['an address without a port', '127.0.0.1'],
    ['a pod’s address, as Kubernetes probes', '10.42.0.7:8082'],
    ['an IPv6 address', '[fd00:10:244::7]:8082'],
    ['an IPv6 address without a port', '[::1]'],
    ['localhost', 'localhost'],
    ['localhost with a port, in capitals', 'LocalHost:1234'],
    ['a configured name', 'countersign'],
    ['a configured name with a port', 'countersign:8082'],
    ['a configured name with its port', 'metrics.example.org:9090'],
  ] as const)('answers to %s', async ([_what, host], { env }) => {
    for (const path of PATHS) expect((await get(env, path, host)).status).toBe(200);
  });

  it('answers HTTP/1.0 without Host, which load balancers send and browsers do not', async ({ env }) => {
    expect((await sendRaw(env.ports.ops, 'GET /livez HTTP/1.0\r\n\r\n')).status).toBe(200);
  });

  it('answers with a query, which scrapers and probes add', async ({ env }) => {
    for (const path of ['/readyz?verbose', '/livez?exclude=etcd', '/metrics?name[]=a'])
      expect((await get(env, path, 'localhost')).status).toBe(200);
    expect((await get(env, '/livezz?x', 'localhost')).status).toBe(404);
    expect((await get(env, '/metrics?verbose', 'evil.test')).status).toBe(400);
  });

  it.for([
    ['a rebound name', 'evil.test'],
    ['a rebound name with the port', 'evil.test:8082'],
    ['a name that begins with an address', '127.0.0.1.evil.test'],
    ['a name that resolves to what it says', '127.0.0.1.nip.io:8082'],
    ['a name that begins with localhost', 'localhost.evil.test'],
    ['a name that ends with a configured one', 'evil-countersign'],
    ['a name below a configured one', 'x.countersign'],
    ['a configured name with another port', 'metrics.example.org:8082'],
    ['a configured name without its port', 'metrics.example.org'],
    ['a name that looks like an IPv6 address', '[::1].evil.test'],
    ['a number', '2130706433'],
    ['a hexadecimal address', '0x7f.0.0.1'],
    ['an address with user information', 'evil.test@127.0.0.1'],
    ['a list', '127.0.0.1, evil.test'],
    ['nothing', ''],
  ] as const)('refuses %s, whatever is asked for', async ([_what, host], { env }) => {
    for (const path of [...PATHS, '/nothing']) {
      const { status, text } = await get(env, path, host);
      expect([status, text]).toEqual([
        400,
        expect.stringMatching(
          /"code":"bad_host"[\s\S]*listeners\.ops\.hosts|listeners\.ops\.hosts[\s\S]*"code":"bad_host"/,
        ),
      ]);
    }
  });

  it('refuses two names', async ({ env }) => {
    for (const hosts of [
      ['127.0.0.1', 'evil.test'],
      ['evil.test', '127.0.0.1'],
      ['localhost', 'localhost'],
    ])
      expect((await get(env, '/metrics', ...hosts)).status).toBe(400);
  });
});
