// A Keycloak of the test's own on the loopback, its admin API, its token endpoint, and a person who fills in its forms.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../config/quickstart/layout.ts';
import type { Visitor } from '../../support/visitor.ts';
import { OTP_SECRETS, REALM } from './realm.ts';

/**
 * Where Keycloak was unpacked (install.sh), or the origin of one that runs already for nothing else; undefined skips
 * the test.
 */
export function findKeycloak(): string | undefined {
  const home = process.env.KEYCLOAK_HOME;
  if (home?.startsWith('http')) return home;
  return home !== undefined && existsSync(join(home, 'bin/kc.sh')) ? home : undefined;
}

export type Admin = (method: string, path: string, body?: unknown) => Promise<unknown>;

export interface Keycloak {
  readonly issuer: string;
  readonly admin: Admin;
  /** The answer of the token endpoint. */
  token(
    parameters: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Readonly<Record<string, string>>>;
  /** A token by client_credentials. */
  clientToken(clientId: string): Promise<string>;
  close(): Promise<void>;
}

/** Its first start with new options builds itself anew, which takes minutes on a busy machine. */
const READY_MS = 540_000;

export async function startKeycloak(home: string): Promise<Keycloak> {
  const { origin, close } = home.startsWith('http')
    ? { origin: home, close: async () => {} }
    : await startProcess(home);
  const post = async (
    path: string,
    parameters: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ) =>
    (await (
      await fetch(`${origin}${path}`, { method: 'POST', headers, body: new URLSearchParams(parameters) })
    ).json()) as Record<string, string>;
  const admin: Admin = async (method, path, body) => {
    const { access_token } = await post('/realms/master/protocol/openid-connect/token', {
      ...{ grant_type: 'password', client_id: 'admin-cli', username: 'admin', password: 'admin' },
    });
    const response = await fetch(`${origin}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return text === '' ? { id: response.headers.get('location')?.split('/').at(-1) } : JSON.parse(text);
  };
  const token: Keycloak['token'] = (parameters, headers) =>
    post(`/realms/${REALM}/protocol/openid-connect/token`, parameters, headers);
  return {
    issuer: `${origin}/realms/${REALM}`,
    admin,
    token,
    async clientToken(clientId) {
      const answer = await token({
        grant_type: 'client_credentials',
        client_id: clientId,
        client_secret: `secret-of-${clientId}`,
      });
      if (answer.access_token === undefined) throw new Error(`no token for ${clientId}: ${JSON.stringify(answer)}`);
      return answer.access_token;
    },
    close,
  };
}

async function startProcess(home: string): Promise<{ readonly origin: string; close(): Promise<void> }> {
  const [port, management] = [await freePort(), await freePort()];
  const origin = `http://127.0.0.1:${port}`;
  const data = mkdtempSync(join(tmpdir(), 'countersign-keycloak-'));
  const logFile = join(data, 'keycloak.log');
  const log = openSync(logFile, 'w');
  const options = [
    `--http-port=${port}`,
    `--hostname=${origin}`,
    `--http-management-port=${management}`,
    '--http-host=127.0.0.1',
    '--hostname-strict=true',
  ];
  const child: ChildProcess = spawn(join(home, 'bin/kc.sh'), ['start-dev', '--db=dev-mem', ...options], {
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
      KC_BOOTSTRAP_ADMIN_USERNAME: 'admin',
      KC_BOOTSTRAP_ADMIN_PASSWORD: 'admin',
    },
  });
  const close = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // kc.sh runs Java as a child of its own: the group that this test made ends, and nothing else.
    if (child.pid !== undefined && child.exitCode === null) {
      process.kill(-child.pid, 'SIGTERM');
      await ended;
    }
    rmSync(data, { recursive: true, force: true });
  };
  try {
    await becomesReady(`${origin}/realms/master`, child, logFile);
  } catch (error) {
    await close();
    throw error;
  }
  return { origin, close };
}

async function becomesReady(address: string, child: ChildProcess, logFile: string): Promise<void> {
  const until = Date.now() + READY_MS;
  while (Date.now() < until && child.exitCode === null) {
    const ready = await fetch(address).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`Keycloak did not become ready:\n${readFileSync(logFile, 'utf8').slice(-2_000)}`);
}

/** RFC 6238, SHA-1, six digits. */
export function oneTimeCode(secret: string, at = Date.now()): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const mac = createHmac('sha1', secret).update(counter).digest();
  return String((mac.readUInt32BE((mac.at(-1) ?? 0) & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

/**
 * From here through Keycloak's forms as this person, until `done` says so of an address (not visited) or of a page.
 * Gives the address.
 */
export async function fillForms(
  visitor: Visitor,
  user: string,
  start: string,
  done: (url: URL, page: string | undefined) => boolean,
): Promise<URL> {
  let url = new URL(start);
  let form: Record<string, string> | undefined;
  for (let step = 0; step < 15; step++) {
    if (done(url, undefined)) return url;
    const response = await visitor.fetch(url, form);
    form = undefined;
    const location = response.headers.get('location');
    const page = await response.text();
    if (location !== null) {
      url = new URL(location, url);
      continue;
    }
    if (done(url, page)) return url;
    const action = /<form[^>]*\saction="([^"]+)"/.exec(page)?.[1];
    if (action === undefined)
      throw new Error(`no form at ${url.pathname}: ${page.replace(/<[^>]*>|\s+/g, ' ').slice(0, 400)}`);
    url = new URL(action.replaceAll('&amp;', '&'), url);
    form = fieldsOf(page, user);
  }
  throw new Error('the sign-in went in circles');
}

function fieldsOf(page: string, user: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [input] of page.matchAll(/<input[^>]*>/g)) {
    const [name, value = ''] = [/\sname="([^"]*)"/.exec(input)?.[1], /\svalue="([^"]*)"/.exec(input)?.[1]];
    if (name !== undefined && /type="hidden"/.test(input)) fields[name] = value.replaceAll('&amp;', '&');
  }
  if (page.includes('name="username"')) fields.username = user;
  if (page.includes('name="password"')) fields.password = `${user}-password`;
  if (page.includes('name="otp"')) fields.otp = oneTimeCode(OTP_SECRETS[user] ?? '');
  if (page.includes('name="accept"')) fields.accept = 'Yes';
  return fields;
}
