// A small real REST API to protect: accounts and transfers, in memory. It knows nothing of Countersign: it believes
// only bearer tokens that the issuer says are active now (RFC 7662), were made for this audience and carry the scope.
// So an agent's own token is of no use here, and a token that was revoked stops working at once.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LedgerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** The only issuer whose tokens count. */
  readonly issuer: string;
  /** The `aud` that a token must have; default the ledger's own origin. */
  readonly audience?: string;
  /** The ledger's own client at the issuer, for introspection. */
  readonly client: { readonly clientId: string; readonly clientSecret: string };
  /** Called after every call, refused ones too. */
  readonly onCall?: (call: LedgerCall) => void;
}

interface LedgerCall {
  readonly method: string;
  /** With the query, as it arrived. */
  readonly target: string;
  /** Names and values as they arrived. May hold a token: not for logs. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly status: number;
}

interface Transfer {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  readonly currency: string;
  readonly at: string;
}

export interface Ledger {
  readonly url: string;
  /** Every call since the start, in order. */
  readonly calls: readonly LedgerCall[];
  readonly transfers: readonly Transfer[];
  /** True when the issuer says that this token is active and for this ledger. */
  accepts(token: string): Promise<boolean>;
  close(): Promise<void>;
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const BODY_LIMIT = 64 * 1024;

export async function startLedger(options: LedgerOptions): Promise<Ledger> {
  const accounts = new Map([
    ['operations', 1_250_000],
    ['payroll', 480_000],
    ['suppliers', 92_500],
  ]);
  const transfers: Transfer[] = [];
  const calls: LedgerCall[] = [];
  const server = createServer();
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const audience = options.audience ?? url;

  const answer = async (req: IncomingMessage, body: string): Promise<{ status: number; body: unknown }> => {
    const { pathname } = new URL(req.url ?? '/', url);
    const token = /^Bearer ([^ ]+)$/i.exec(req.headers.authorization ?? '')?.[1];
    if (token === undefined) throw new Refusal(401, 'a bearer token is needed');
    const scopes = await introspect(options, audience, token);
    if (scopes === undefined) throw new Refusal(401, 'the token is not active, or not for this ledger');
    const need = (scope: string) => {
      if (!scopes.includes(scope)) throw new Refusal(403, `the token lacks the scope ${scope}`);
    };

    if (req.method === 'GET' && pathname === '/accounts') {
      need('ledger:read');
      return {
        status: 200,
        body: { accounts: [...accounts].map(([id, cents]) => ({ id, balance: cents / 100, currency: 'EUR' })) },
      };
    }
    if (req.method === 'GET' && pathname === '/transfers') {
      need('ledger:read');
      return { status: 200, body: { transfers } };
    }
    if (req.method === 'POST' && pathname === '/transfers') {
      need('ledger:write');
      const transfer = book(accounts, body);
      transfers.push(transfer);
      return { status: 201, body: transfer };
    }
    throw new Refusal(404, 'GET /accounts, GET /transfers and POST /transfers are all there is');
  };

  server.on('request', async (req, res) => {
    let body = '';
    let result: { status: number; body: unknown };
    try {
      body = await readBody(req);
      result = await answer(req, body);
    } catch (error) {
      result =
        error instanceof Refusal
          ? { status: error.status, body: { error: error.message } }
          : { status: 500, body: { error: 'the ledger failed' } };
    }
    const call = {
      method: req.method ?? '',
      target: req.url ?? '',
      rawHeaders: req.rawHeaders,
      body,
      status: result.status,
    };
    calls.push(call);
    options.onCall?.(call);
    res.writeHead(result.status, {
      'content-type': 'application/json',
      ...(result.status === 401 && { 'www-authenticate': 'Bearer' }),
    });
    res.end(`${JSON.stringify(result.body)}\n`);
  });

  return {
    url,
    calls,
    transfers,
    accepts: async (token) => (await introspect(options, audience, token)) !== undefined,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/**
 * The token's scopes, or undefined when it is not good here. Structured (JWT) tokens are none of this ledger's: the
 * issuer refuses to look at them.
 */
async function introspect(
  { issuer, client }: LedgerOptions,
  audience: string,
  token: string,
): Promise<string[] | undefined> {
  const response = await fetch(`${issuer}/token/introspection`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${encodeURIComponent(client.clientId)}:${encodeURIComponent(client.clientSecret)}`).toString('base64')}`,
    },
    body: new URLSearchParams({ token }),
  });
  const claims = (await response.json()) as { active?: boolean; iss?: string; aud?: string; scope?: string };
  if (!response.ok || claims.active !== true || claims.iss !== issuer || claims.aud !== audience) return undefined;
  return claims.scope?.split(' ') ?? [];
}

function book(accounts: Map<string, number>, body: string): Transfer {
  let wish: Partial<Transfer>;
  try {
    wish = JSON.parse(body) as Partial<Transfer>;
  } catch {
    throw new Refusal(400, 'the body is not JSON');
  }
  const { from, to, amount, currency } = wish ?? {};
  if (typeof from !== 'string' || typeof to !== 'string' || typeof amount !== 'number' || currency !== 'EUR') {
    throw new Refusal(422, 'a transfer has from, to, amount and currency EUR');
  }
  const cents = Math.round(amount * 100);
  const balance = accounts.get(from);
  if (balance === undefined) throw new Refusal(422, 'there is no such account to take it from');
  if (!(cents > 0) || cents > balance) throw new Refusal(422, 'the amount is not covered');
  accounts.set(from, balance - cents);
  accounts.set(to, (accounts.get(to) ?? 0) + cents);
  return { id: randomUUID(), from, to, amount: cents / 100, currency, at: new Date().toISOString() };
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw new Refusal(413, 'the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
