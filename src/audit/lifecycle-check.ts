// Checks in the record that the gateway followed the lifecycle of calls. It finds a denied call that was sent, a call
// that was sent without an approval of exactly that call, an approval that was used twice, a call without an end, and a
// credential that was never taken back. Knows the records of records.ts; trusts none of their members.

import type { ReadLine } from './chain.ts';
import type { FaultKind, WarningKind } from './report.ts';

export interface LinePlace {
  readonly file: string;
  readonly line: number;
}

export interface LifecycleFindings {
  fault(kind: FaultKind, place: LinePlace, text: string): void;
  warn(kind: WarningKind, place: LinePlace, text: string): void;
}

export interface LifecycleCheck {
  read(record: ReadLine, place: LinePlace): void;
  /** Warns of what is still open. `now`: credentials that have expired by then are closed by that. */
  end(now: number): void;
}

/** How many refusals are remembered. A send after an older refusal is still found, as a send without a decision. */
const REMEMBERED_REFUSALS = 100_000;

interface ClearedLine {
  readonly place: LinePlace;
  readonly actionDigest: string;
  readonly bindingDigest: string;
  readonly approval: 'none_needed' | 'given' | 'missing';
}

export function createLifecycleCheck({ fault, warn }: LifecycleFindings): LifecycleCheck {
  // Keeps only what is still open, so memory does not grow with the log, except for the ids of sent holds.
  const cleared = new Map<string, ClearedLine>();
  const refused = new Set<string>();
  const credentials = new Map<string, { readonly place: LinePlace; readonly expires: number }>();
  const sentHolds = new Set<string>();

  function readDecision(record: ReadLine, place: LinePlace): void {
    const decision = part(record, 'decision');
    const hold = part(record, 'hold');
    const call = text(record, 'call');
    if (record.error !== undefined || decision.effect === 'deny') {
      refused.add(call);
      for (const oldest of refused) {
        if (refused.size <= REMEMBERED_REFUSALS) break;
        refused.delete(oldest);
      }
      return;
    }
    cleared.set(call, {
      place,
      actionDigest: text(part(record, 'action'), 'digest'),
      bindingDigest: text(hold, 'bindingDigest'),
      approval: approvalOf(decision, hold),
    });
  }

  function readOutcome(record: ReadLine, place: LinePlace): void {
    const call = text(record, 'call');
    const before = cleared.get(call);
    cleared.delete(call);
    readCredentialOfCall(part(record, 'credential'), place);
    if (record.sent !== true) return;
    if (before === undefined) {
      if (refused.has(call)) fault('denied_but_sent', place, `call ${quote(call)} was refused and sent`);
      else
        fault('sent_without_decision', place, `call ${quote(call)} was sent and no decision on it is on record before`);
      return;
    }
    if (before.approval === 'missing')
      fault('sent_without_approval', place, `call ${quote(call)} was sent without the approvals that it needed`);
    if (text(record, 'actionDigest') !== before.actionDigest)
      fault('sent_another_action', place, `call ${quote(call)} is not the action that was decided on`);
    const hold = part(record, 'hold');
    const holdId = text(hold, 'id');
    if (holdId === '') return;
    if (text(hold, 'bindingDigest') !== before.bindingDigest)
      fault('sent_without_approval', place, `call ${quote(call)} is not what hold ${quote(holdId)} bound`);
    if (sentHolds.has(holdId)) fault('sent_twice', place, `hold ${quote(holdId)} was used for a second send`);
    sentHolds.add(holdId);
  }

  function readCredentialOfCall(credential: Members, place: LinePlace): void {
    if (credential.exclusive !== true) return;
    if (credential.revoked === true) credentials.delete(text(credential, 'id'));
    else credentials.set(text(credential, 'id'), { place, expires: time(credential, 'expires') });
  }

  function readCredential(record: ReadLine, place: LinePlace): void {
    const credential = part(record, 'credential');
    const id = text(credential, 'id');
    if (record.event === 'issued') credentials.set(id, { place, expires: time(credential, 'expires') });
    if (record.event === 'revoked' || record.event === 'expired') credentials.delete(id);
  }

  return {
    read(record, place) {
      if (record.type === 'decision') readDecision(record, place);
      else if (record.type === 'outcome') readOutcome(record, place);
      else if (record.type === 'credential') readCredential(record, place);
    },
    end(now) {
      for (const [call, { place }] of cleared) {
        warn(
          'open_call',
          place,
          `call ${quote(call)} was cleared and has no outcome: it is under way, or the gateway stopped half-way`,
        );
      }
      for (const [id, { place, expires }] of credentials) {
        if (!(expires <= now))
          warn('open_credential', place, `credential ${quote(id)} was issued and neither revoked nor expired`);
      }
    },
  };
}

type Members = Readonly<Record<string, unknown>>;

/**
 * Whether the recorded approvals are enough: no denial, and votes of as many different people as the strictest tier
 * asks for, all for this binding.
 */
function approvalOf(decision: Members, hold: Members): ClearedLine['approval'] {
  const counts = list(decision, 'requirements').map((requirement) => Number(requirement.count));
  const needed = Math.max(0, ...counts);
  if (needed === 0 && decision.effect === 'allow' && hold.id === undefined) return 'none_needed';
  const votes = list(hold, 'votes');
  const people = new Set(
    votes
      .filter((vote) => vote.decision === 'approve' && vote.bindingDigest === hold.bindingDigest)
      .map((vote) => vote.reviewer),
  );
  const denied = votes.some((vote) => vote.decision === 'deny');
  return !denied && hold.bindingDigest !== undefined && people.size >= Math.max(1, needed) ? 'given' : 'missing';
}

function part(from: Members, name: string): Members {
  const value = from[name];
  return typeof value === 'object' && value !== null ? (value as Members) : {};
}

function list(from: Members, name: string): Members[] {
  const value = from[name];
  return Array.isArray(value) ? value.filter((each): each is Members => typeof each === 'object' && each !== null) : [];
}

function text(from: Members, name: string): string {
  const value = from[name];
  return typeof value === 'string' ? value : '';
}

function time(from: Members, name: string): number {
  return Date.parse(text(from, name));
}

/** The id as it may be shown: only characters that ids have, and a bounded number of them. */
function quote(id: string): string {
  return id.replaceAll(/[^\w:.-]/g, '?').slice(0, 80);
}
