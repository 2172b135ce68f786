// An example of a credential provider of one's own: a desk that gives short tickets for a user name and a password, and
// takes them back. Configured as { type: module, path: ./ticket-provider.ts, options: {…}, secrets: {…} }; see
// docs/credentials/own-provider.md. It imports types only, so it needs nothing installed beside it.

import type { ProviderFactory } from '../../src/credentials/types/module.ts';

const ticketProvider: ProviderFactory = (options, { Secret, secrets, unavailable, tooBroad }) => {
  const { desk, user, rights } = options;
  // Options that can never work are refused when the configuration is read, not at the first call.
  if (typeof desk !== 'string' || typeof user !== 'string' || !Array.isArray(rights))
    throw new TypeError('options: desk, user, rights');

  const ask = async (method: string, path: string, body?: object) => {
    const response = await fetch(new URL(path, desk), {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(5_000),
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    }).catch(() => {
      throw unavailable('The ticket desk cannot be reached.');
    });
    // Never the answer's text: it may quote the password.
    if (!response.ok) throw unavailable(`The ticket desk answered with status ${response.status}.`);
    return response;
  };

  return {
    type: 'ticket',
    // Calls that need no approval may share a ticket; an approved call always gets one of its own.
    shareable: true,
    async mint({ plan, holdId, now }) {
      const wanted = plan.scope.rights ?? rights;
      if (!Array.isArray(wanted) || !wanted.every((right) => rights.includes(right)))
        throw unavailable('The rule asks for rights beyond the configured ones.');
      const password = secrets.password?.read().reveal();
      const response = await ask('POST', '/tickets', {
        user,
        password,
        rights: wanted,
        reason: holdId ?? 'allowed by rule',
      });
      const {
        ticket,
        rights: granted,
        seconds,
      } = (await response.json()) as { ticket: string; rights: string[]; seconds: number };
      const handle = new Secret(ticket);
      const expiresAt = now + seconds * 1000;
      // What was made and must not be used is handed over, so that the gateway takes it back.
      if (!granted.every((right) => wanted.includes(right)))
        throw tooBroad('The ticket desk granted more than was asked for.', { handle, expiresAt });
      return {
        injection: { in: 'header', name: 'x-ticket', value: new Secret(ticket) },
        secrets: [new Secret(ticket)],
        expiresAt,
        revocability: 'token',
        granted: { rights: granted },
        // Kept sealed until the ticket is taken back: it is all that `revoke` gets, also after a crash.
        handle,
      };
    },
    async revoke(handle) {
      await ask('DELETE', `/tickets/${encodeURIComponent(handle.reveal())}`);
    },
  };
};

export default ticketProvider;
