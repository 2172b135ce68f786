// What the console's routes are made of, and what each of them does with a request: read a form of this session, find a
// hold that names the reader, answer with a page.

import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { Approvals } from '../../domain/approvals.ts';
import type { Hold } from '../../domain/hold.ts';
import type { Passkey } from '../../domain/passkey.ts';
import type { Reviewer } from '../../domain/reviewer.ts';
import { GatewayError } from '../../errors.ts';
import type { EventStreams } from '../events.ts';
import type { InterventionParts } from '../interventions.ts';
import type { LogoutHint } from '../logout-hint.ts';
import type { Passkeys } from '../passkeys.ts';
import { type Eligibility, isNamed } from '../permissions.ts';
import type { Sessions } from '../session.ts';
import type { BrowserSignIn } from '../sign-in.ts';
import type { SimilarParts } from '../similar.ts';
import { type FormFields, readForm } from './forms.ts';
import type { Background } from './hold-background.ts';
import type { Html } from './html.ts';
import type { SignedIn } from './layout.ts';

export interface ConsoleOptions {
  /** The reviewers' origin. */
  readonly origin: string;
  readonly issuer: string;
  readonly sessions: Sessions;
  readonly signIn: BrowserSignIn;
  readonly logoutHint: LogoutHint;
  /** Called for every sign-in that failed. */
  onSignInRefused(error: GatewayError): void;
  /** Whether anything in the configuration in force names this person. */
  isNamedAnywhere(reviewer: Reviewer): boolean;
  /** Absent where the console has no domain name. */
  readonly passkeys?: Passkeys;
  background(hold: Hold): Background;
  /** Records that a passkey is added or removed. Throws `audit_unavailable`: then nothing is done. */
  recordPasskey(event: 'added' | 'removed', reviewer: Reviewer, passkey: Pick<Passkey, 'id'>): Promise<void>;
}

export interface ConsoleParts extends ConsoleOptions, SimilarParts {
  readonly approvals: Pick<Approvals, 'vote' | 'revoke' | 'opened'>;
  readonly operations: InterventionParts;
  readonly eligibility: Eligibility;
  readonly events: EventStreams;
  onFault(error: GatewayError): void;
}

export type ConsoleEnv = { Bindings: HttpBindings; Variables: { session: SignedIn } };

export const page = (
  context: Context<ConsoleEnv>,
  content: Html,
  status: 200 | 401 = 200,
): Response | Promise<Response> => context.html(content as Promise<string>, status);

/** Path and query as they were sent. */
export function pathOf(context: Context<ConsoleEnv>): string {
  const url = new URL(context.req.url);
  return url.pathname + url.search;
}

/** The form of this request. Throws as `readForm` does, and what `checkForm` throws for a form of another session. */
export async function readSessionForm(context: Context<ConsoleEnv>, { sessions }: ConsoleParts): Promise<FormFields> {
  const fields = await readForm(context.req.raw);
  sessions.checkForm({ origin: context.req.header('origin'), csrf: fields.get('csrf') }, context.var.session);
  return fields;
}

/** The hold that the path names. Throws `hold_not_found`, also for a hold that does not name the reader. */
export async function findHold(context: Context<ConsoleEnv>, { holds, eligibility }: ConsoleParts): Promise<Hold> {
  const hold = await holds.get(context.req.param('id') ?? '');
  if (hold === undefined || !isNamed(eligibility, hold, context.var.session.reviewer)) {
    throw new GatewayError('hold_not_found', 'There is no such hold for you to review.');
  }
  return hold;
}

/** JSON that a script of ours put into a form. Throws `bad_request`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new GatewayError('bad_request', 'The answer of the browser cannot be read.');
  }
}
