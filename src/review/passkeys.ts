// Passkeys at the console (WebAuthn level 3, by @simplewebauthn/server): registering one, and signing one decision on
// one hold with it, user verification required. Trusts the challenges that it sealed itself. Refuses an assertion over
// anything but the vote that is cast.

import {
  type AuthenticationResponseJSON,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { sha256 } from '../domain/canonical.ts';
import type { EpochMs } from '../domain/clock.ts';
import type { Hold } from '../domain/hold.ts';
import { type OnceStore, useOnce } from '../domain/once.ts';
import { type Passkey, type PasskeyEvidence, type PasskeyStore, voteChallenge } from '../domain/passkey.ts';
import type { Reviewer } from '../domain/reviewer.ts';
import { GatewayError } from '../errors.ts';
import { randomToken, type Seal } from './session.ts';

export interface PasskeyOptions {
  readonly store: PasskeyStore;
  readonly once: OnceStore;
  readonly seal: Seal;
  readonly origin: string;
  now(): EpochMs;
}

type Verdict = 'approve' | 'deny';

export interface RegistrationAnswer {
  readonly ticket: string;
  /** The RegistrationResponseJSON of the browser. */
  readonly response: unknown;
  readonly label: string;
}

export interface Passkeys {
  of(reviewer: Reviewer): Promise<readonly Passkey[]>;
  /** Options for navigator.credentials.create, and a sealed ticket that the browser sends back with its answer. */
  beginRegistration(reviewer: Reviewer): Promise<{ readonly options: object; readonly ticket: string }>;
  /**
   * Verifies the answer, records it with `record`, and only then stores the passkey. Throws `bad_request` for an answer
   * that fails.
   */
  finishRegistration(
    reviewer: Reviewer,
    answer: RegistrationAnswer,
    record: (passkey: Passkey) => Promise<void>,
  ): Promise<void>;
  remove(reviewer: Reviewer, id: string): Promise<void>;
  /** Options for navigator.credentials.get over this decision. */
  beginVote(
    reviewer: Reviewer,
    hold: Hold,
    decision: Verdict,
  ): Promise<{ readonly options: object; readonly ticket: string }>;
  /** Throws `step_up_required` for an assertion that fails, or is over something else. */
  verifyVote(
    reviewer: Reviewer,
    bindingDigest: string,
    decision: Verdict,
    ticket: string,
    response: unknown,
  ): Promise<PasskeyEvidence>;
}

const TICKET_MS = 5 * 60_000;

/**
 * Passkeys need a domain name: undefined where the console is reached by an IP address (WebAuthn section 5.1.3, RP ID).
 */
export function createPasskeys({ store, once, seal, origin, now }: PasskeyOptions): Passkeys | undefined {
  const { hostname: rpId } = new URL(origin);
  if (/^[\d.]+$|^\[/.test(rpId)) return undefined;

  const ticketOf = (purpose: string, reviewer: Reviewer, value: string) =>
    seal.seal(purpose, JSON.stringify({ reviewer: reviewer.id, value, until: now() + TICKET_MS }));
  /** Uses up the ticket, even if the answer that came with it fails. */
  const openTicket = async (purpose: string, reviewer: Reviewer, ticket: string): Promise<string | undefined> => {
    const opened = seal.open(purpose, ticket);
    if (opened === undefined) return undefined;
    const { reviewer: whose, value, until } = JSON.parse(opened) as { reviewer: string; value: string; until: EpochMs };
    const isGood =
      whose === reviewer.id &&
      now() < until &&
      (await useOnce(once, 'passkey-challenge', `${purpose} ${value}`, until));
    return isGood ? value : undefined;
  };

  return {
    of: (reviewer) => store.of(reviewer.id),
    async beginRegistration(reviewer) {
      const known = await store.of(reviewer.id);
      const options = await generateRegistrationOptions({
        rpName: 'Countersign',
        rpID: rpId,
        userName: reviewer.name ?? reviewer.subject,
        userID: new Uint8Array(Buffer.from(userHandle(reviewer))),
        attestationType: 'none',
        excludeCredentials: known.map(({ id, transports }) => ({ id, transports: [...transports] })),
        authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
      });
      return { options, ticket: ticketOf('passkey-registration', reviewer, options.challenge) };
    },
    async finishRegistration(reviewer, { ticket, response, label }, record) {
      const challenge = await openTicket('passkey-registration', reviewer, ticket);
      if (challenge === undefined)
        throw new GatewayError(
          'bad_request',
          'The registration took too long, or was finished before: start it again.',
        );
      const { registrationInfo } = await verifyRegistrationResponse({
        response: response as RegistrationResponseJSON,
        ...{ expectedChallenge: challenge, expectedOrigin: origin, expectedRPID: rpId, requireUserVerification: true },
      }).catch((cause: unknown) => {
        throw new GatewayError('bad_request', 'The passkey could not be verified.', { cause });
      });
      if (registrationInfo === undefined) throw new GatewayError('bad_request', 'The passkey could not be verified.');
      const { id, publicKey, counter, transports = [] } = registrationInfo.credential;
      const passkey = {
        id,
        reviewerId: reviewer.id,
        publicKey: base64url(publicKey),
        counter,
        transports,
        label,
        createdAt: now(),
      };
      await record(passkey);
      await store.add(passkey);
    },
    remove: (reviewer, id) => store.remove(id, reviewer.id),
    async beginVote(reviewer, hold, decision) {
      const nonce = randomToken();
      const mine = await store.of(reviewer.id);
      const options = await generateAuthenticationOptions({
        rpID: rpId,
        allowCredentials: mine.map(({ id, transports }) => ({ id, transports: [...transports] })),
        challenge: new Uint8Array(
          Buffer.from(
            voteChallenge({ bindingDigest: hold.bindingDigest, decision, nonce, reviewer: reviewer.id }),
            'hex',
          ),
        ),
        userVerification: 'required',
      });
      return { options, ticket: ticketOf('passkey-vote', reviewer, nonce) };
    },
    async verifyVote(reviewer, bindingDigest, decision, ticket, given) {
      const response = given as AuthenticationResponseJSON;
      const nonce = await openTicket('passkey-vote', reviewer, ticket);
      const passkey = (await store.of(reviewer.id)).find(({ id }) => id === response?.id);
      if (nonce === undefined || passkey === undefined)
        throw new GatewayError(
          'step_up_required',
          'The passkey is not yours, or its answer came too late or a second time.',
        );
      const { clientDataJSON, authenticatorData, signature } = response.response;
      const evidence = {
        ...{ credentialId: passkey.id, publicKey: passkey.publicKey, nonce, rpId, origin },
        ...{ clientDataJSON, authenticatorData, signature },
      };
      const newCounter = await verifyPasskeyEvidence(
        evidence,
        { bindingDigest, decision, reviewer: reviewer.id },
        passkey.counter,
      );
      if (newCounter === undefined)
        throw new GatewayError('step_up_required', 'The passkey did not sign this decision on this hold.');
      await store.used(passkey.id, newCounter);
      return evidence;
    },
  };
}

/**
 * Verifies a stored assertion again, offline, against the vote that it signs. Returns the authenticator's counter, or
 * undefined when the assertion fails. Does not check how the public key was registered: the record of the vote says
 * whose key it is.
 */
export async function verifyPasskeyEvidence(
  evidence: PasskeyEvidence,
  vote: { readonly bindingDigest: string; readonly decision: Verdict; readonly reviewer: string },
  counter = 0,
): Promise<number | undefined> {
  const { credentialId, publicKey, nonce, rpId, origin, clientDataJSON, authenticatorData, signature } = evidence;
  const challenge = Buffer.from(voteChallenge({ ...vote, nonce }), 'hex').toString('base64url');
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: {
      ...{ id: credentialId, rawId: credentialId, type: 'public-key' as const, clientExtensionResults: {} },
      response: { clientDataJSON, authenticatorData, signature },
    },
    ...{ expectedChallenge: challenge, expectedOrigin: origin, expectedRPID: rpId, requireUserVerification: true },
    credential: { id: credentialId, publicKey: new Uint8Array(Buffer.from(publicKey, 'base64url')), counter },
  }).catch(() => ({ verified: false, authenticationInfo: undefined }));
  return verified ? authenticationInfo?.newCounter : undefined;
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** At most 64 bytes, the same for one person each time (WebAuthn section 5.4.3, user.id). */
const userHandle = (reviewer: Reviewer): string => sha256(reviewer.id);
