// Takes the injected secret out of what comes back, in the forms in which servers echo it: as it is, inside base64 and base64url at any
// alignment, URL-encoded and JSON-escaped. Works on bytes as they stream and keeps back only what could be the beginning of a secret.
// Does not find: other encodings (hex, UTF-16, compressed), bodies that are not text, frames of a WebSocket, secrets shorter than 8 characters in bodies.

import type { Credential } from '../domain/credential.ts';

const MARK = '[scrubbed]';
const MARK_BYTES = Buffer.from(MARK);
/** Shorter secrets would also match what is no secret. */
const SHORTEST_IN_BODY = 8;
const SHORTEST_IN_FIELD = 4;

/** Scrubs one body. Chunks without a secret come out as they went in. */
export interface BodyScrub {
  /** What of the body so far may go on. Empty when all of it could be the beginning of a secret. */
  push(chunk: Buffer): Buffer;
  /** What is left at the end. */
  flush(): Buffer;
}

export interface Scrubber {
  /** A field value without the secret. */
  field(value: string): string;
  /** A whole body without the secret; the same Buffer when it has none. */
  whole(body: Buffer): Buffer;
  stream(): BodyScrub;
  /** False when every secret is too short to be looked for in bodies. */
  readonly scrubsBodies: boolean;
}

const scrubbers = new WeakMap<object, Scrubber>();

/** The scrubber of a credential; made once for each minted secret, whatever number of calls share it. */
export function scrubberFor(credential: Credential): Scrubber {
  const key = credential.injection.value;
  let scrubber = scrubbers.get(key);
  if (scrubber === undefined) {
    const value = key.reveal();
    // `Bearer x` and `Basic x`: the scheme is no secret.
    const afterScheme = value.slice(value.indexOf(' ') + 1);
    scrubber = createScrubber([afterScheme, ...credential.secrets.map((secret) => secret.reveal())]);
    scrubbers.set(key, scrubber);
  }
  return scrubber;
}

export function createScrubber(secrets: readonly string[]): Scrubber {
  const known = [...new Set(secrets)].filter(({ length }) => length >= SHORTEST_IN_FIELD).map((secret) => ({ secret, forms: formsOf(secret) }));
  const inFields = longestFirst(known.flatMap(({ forms }) => forms));
  const inBodies = longestFirst(known.flatMap(({ secret, forms }) => (secret.length >= SHORTEST_IN_BODY ? forms : []))).map((form) =>
    Buffer.from(form, 'latin1'),
  );
  return {
    scrubsBodies: inBodies.length > 0,
    field(value) {
      let clean = value;
      for (const form of inFields) if (clean.includes(form)) clean = clean.replaceAll(form, MARK);
      return clean;
    },
    whole(body) {
      const first = findNext(inBodies, body, 0);
      if (first === undefined) return body;
      const { pieces, rest } = cutOut(inBodies, body, first);
      return Buffer.concat([...pieces, rest]);
    },
    stream: () => createBodyScrub(inBodies),
  };
}

function createBodyScrub(forms: readonly Buffer[]): BodyScrub {
  let kept: Buffer = Buffer.alloc(0);
  return {
    push(chunk) {
      const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
      const first = findNext(forms, bytes, 0);
      const { pieces, rest } = first === undefined ? { pieces: [], rest: bytes } : cutOut(forms, bytes, first);
      const from = undecidedFrom(forms, rest);
      // Copied, so that a few bytes do not keep a whole socket buffer alive.
      kept = Buffer.from(rest.subarray(from));
      const certain = rest.subarray(0, from);
      return pieces.length === 0 ? certain : Buffer.concat([...pieces, certain]);
    },
    flush() {
      const rest = kept;
      kept = Buffer.alloc(0);
      return rest;
    },
  };
}

interface Hit {
  readonly at: number;
  readonly length: number;
}

/** The first place of any form; of several forms that begin there, the longest. */
function findNext(forms: readonly Buffer[], bytes: Buffer, from: number): Hit | undefined {
  let hit: Hit | undefined;
  for (const form of forms) {
    const at = bytes.indexOf(form, from);
    if (at !== -1 && (hit === undefined || at < hit.at)) hit = { at, length: form.length };
  }
  return hit;
}

/** Everything up to the last hit, with each hit replaced, and what follows it. */
function cutOut(forms: readonly Buffer[], bytes: Buffer, first: Hit): { pieces: Buffer[]; rest: Buffer } {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let hit: Hit | undefined = first; hit !== undefined; hit = findNext(forms, bytes, from)) {
    pieces.push(bytes.subarray(from, hit.at), MARK_BYTES);
    from = hit.at + hit.length;
  }
  return { pieces, rest: bytes.subarray(from) };
}

/** Where the longest ending begins that is the beginning of a form; the length when there is none. */
function undecidedFrom(forms: readonly Buffer[], bytes: Buffer): number {
  let from = bytes.length;
  for (const form of forms) {
    const head = form[0];
    if (head === undefined) continue;
    for (let at = Math.max(0, bytes.length - form.length + 1); ; at++) {
      at = bytes.indexOf(head, at);
      if (at === -1 || at >= from) break;
      if (bytes.compare(form, 0, bytes.length - at, at) === 0) {
        from = at;
        break;
      }
    }
  }
  return from;
}

/** Every form of one secret, as latin1 text of its bytes. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  const json = JSON.stringify(secret).slice(1, -1);
  const url = encodeURIComponent(secret);
  const lowerUrl = url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
  const texts = [secret, json, json.replaceAll('/', '\\/'), url, lowerUrl, url.replaceAll('%20', '+'), lowerUrl.replaceAll('%20', '+')];
  return [...texts.map((text) => Buffer.from(text, 'utf8').toString('latin1')), ...base64Forms(bytes)];
}

/** The characters that stand for these bytes and nothing else, for each of the three places that they can have in a base64 text. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes]);
    const start = Math.ceil((offset * 8) / 6);
    const end = Math.floor((padded.length * 8) / 6);
    const stable = padded.toString('base64').slice(start, end);
    return [stable, stable.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function longestFirst(forms: readonly string[]): string[] {
  return [...new Set(forms)].filter((form) => form !== '').sort((a, b) => b.length - a.length);
}
