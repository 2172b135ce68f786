// Removes the injected secret from answers, in every form in which servers and their serialisers echo it
// (docs/credentials.md lists them, and what is not found). Works on bytes as they stream, and keeps back only what
// could be the beginning of a secret.

import type { Credential } from '../../domain/credential.ts';
import { createFind, type FoundSpan } from './find.ts';
import { needlesOf, secretsOf } from './needles.ts';
import { undecidedFrom } from './undecided.ts';

const MARK = '[scrubbed]';
/** Shorter secrets would also match what is no secret. */
const SHORTEST_IN_BODY = 8;
const SHORTEST_IN_FIELD = 4;

/** Scrubs one body. Chunks without a secret come out as they went in. */
export interface BodyScrub {
  /** The part of the body that may be passed on. Empty when all of it could be part of a secret. */
  push(chunk: Buffer): Buffer;
  /** What is left at the end. */
  flush(): Buffer;
}

export interface Scrubber {
  /** A field value without the secret. */
  field(value: string): string;
  /** Whether the name of a field, which comes in lower case, holds the secret. */
  isInName(name: string): boolean;
  /** A whole body without the secret; the same Buffer when it has none. */
  whole(body: Buffer): Buffer;
  /** With `keepsLength` what is found is replaced by as many bytes, so that a declared length stays true. */
  stream(keepsLength?: boolean): BodyScrub;
  /** False when every secret is too short to be looked for in bodies. */
  readonly scrubsBodies: boolean;
}

const scrubbers = new WeakMap<object, Scrubber>();

/** The scrubber of a credential; made once for each minted secret, whatever number of calls share it. */
export function scrubberFor(credential: Credential): Scrubber {
  const key = credential.injection.value;
  let scrubber = scrubbers.get(key);
  if (scrubber === undefined) {
    scrubber = createScrubber(secretsOf(credential));
    scrubbers.set(key, scrubber);
  }
  return scrubber;
}

export function createScrubber(secrets: readonly string[]): Scrubber {
  const inFields = needlesOf(secrets, SHORTEST_IN_FIELD);
  const inBodies = needlesOf(secrets, SHORTEST_IN_BODY);
  const findInField = createFind(inFields);
  const find = createFind(inBodies);
  const undecided = undecidedFrom(secrets.filter(({ length }) => length >= SHORTEST_IN_BODY));
  const shortest = Math.min(...inFields.map(({ length }) => length));
  const lowered = inFields.map((needle) => needle.toString('latin1').toLowerCase());
  return {
    scrubsBodies: inBodies.length > 0,
    field(value) {
      // No form of a secret is shorter than the secret.
      if (value.length < shortest) return value;
      const bytes = Buffer.from(value, 'latin1');
      const spans = findInField(bytes);
      return spans.length === 0 ? value : replaced(bytes, spans, bytes.length, mark).toString('latin1');
    },
    isInName: (name) => name.length >= shortest && lowered.some((needle) => name.includes(needle)),
    whole(body) {
      const spans = find(body);
      return spans.length === 0 ? body : replaced(body, spans, body.length, mark);
    },
    stream(keepsLength = false) {
      const put = keepsLength ? filler : mark;
      let kept: Buffer = Buffer.alloc(0);
      return {
        push(chunk) {
          const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
          const spans = find(bytes);
          let until = undecided(bytes);
          // A find that reaches into what is undecided waits with it.
          for (const { start, end } of spans) if (start < until && end > until) until = start;
          // Copied, so that a few bytes do not keep a whole socket buffer alive.
          kept = Buffer.from(bytes.subarray(until));
          return replaced(bytes, spans, until, put);
        },
        flush() {
          const rest = kept;
          kept = Buffer.alloc(0);
          return replaced(rest, find(rest), rest.length, put);
        },
      };
    },
  };
}

const MARK_BYTES = Buffer.from(MARK);
const mark = (): Buffer => MARK_BYTES;
const filler = ({ start, end }: FoundSpan): Buffer => Buffer.from(MARK.padEnd(end - start, '*').slice(0, end - start));

/** The bytes up to there, with what was found replaced. */
function replaced(bytes: Buffer, spans: readonly FoundSpan[], until: number, put: (span: FoundSpan) => Buffer): Buffer {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const span of spans) {
    if (span.end > until) break;
    pieces.push(bytes.subarray(from, span.start), put(span));
    from = span.end;
  }
  return pieces.length === 0 ? bytes.subarray(0, until) : Buffer.concat([...pieces, bytes.subarray(from, until)]);
}
