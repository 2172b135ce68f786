// What tests of OAuth credentials talk to: a real issuer with three clients and three resources, and plain servers that
// answer as a test says.

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach } from 'vitest';
import type { Minted } from '../../src/domain/credential.ts';
import { type IssuerOptions, startIssuer, type TestIssuer } from '../support/oidc-issuer.ts';
import { providerOf } from '../support/providers.ts';
import { secretOf } from '../support/signing.ts';

export const LEDGER = 'https://ledger.example.org';
/** Tokens for this resource are signed: the issuer cannot revoke them. */
export const SIGNED = 'https://signed.example.org';
const GATEWAY = 'https://gateway.example.org';

export const tokenOf = (minted: Minted) => minted.secrets[0]?.reveal() ?? '';

/** An issuer that is started before each test and closed after it. */
export class OAuthIssuer {
  #issuer: TestIssuer | undefined;

  get now(): TestIssuer {
    if (this.#issuer === undefined) throw new Error('The issuer is not started.');
    return this.#issuer;
  }

  async start(more: Partial<IssuerOptions> = {}): Promise<void> {
    this.#issuer = await startIssuer({
      clients: [
        { id: 'countersign', secret: 'basic/secret literal', scope: 'openid own:read' },
        { id: 'poster', secret: 'post-secret-literal', authentication: 'client_secret_post' },
        { id: 'agent', secret: 'agent-secret-literal', resource: GATEWAY },
      ],
      scopes: ['own:read', 'own:write'],
      resources: {
        [LEDGER]: { scope: 'transfers:read transfers:write' },
        [SIGNED]: { scope: 'transfers:read', format: 'jwt' },
        [GATEWAY]: { scope: 'call', format: 'jwt' },
      },
      ...more,
    });
  }

  /** Another issuer in its place, with other options. */
  async restart(more: Partial<IssuerOptions>): Promise<void> {
    await this.close();
    await this.start(more);
  }

  /** The settings of the client `countersign` at this issuer. */
  get client() {
    return { issuer: this.now.issuer, clientId: 'countersign', clientSecret: secretOf('basic/secret literal') };
  }

  clientCredentials(more: object = {}) {
    return providerOf({ type: 'oauth-client-credentials', ...this.client, resource: LEDGER, ...more });
  }

  exchange(more: object = {}) {
    return providerOf({ type: 'token-exchange', ...this.client, resource: LEDGER, ...more });
  }

  async close(): Promise<void> {
    await this.now.close();
  }
}

export function useIssuer(): OAuthIssuer {
  const issuer = new OAuthIssuer();
  beforeEach(() => issuer.start());
  afterEach(() => issuer.close());
  return issuer;
}

/** Gives a function that starts a server and gives its URL; the servers of a test are closed after it. */
export function useServers(): (answer: RequestListener) => Promise<string> {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });
  return async (answer) => {
    const server = createServer(answer);
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
}
