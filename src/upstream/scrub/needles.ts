// The byte sequences to look for: the secrets of a credential, and those parts of them that are as good as the whole.
// Parts that anybody may know, such as a user name or the claims of a JWT, are left out.

import type { Credential } from '../../domain/credential.ts';

/** Parameters of a signed URL or of a shared access signature whose values make it good. */
const SIGNATURES =
  /(?:^|[?&;])(?:sig|signature|x-amz-signature|x-goog-signature|x-amz-security-token|token|access_token)=([^&;#]+)/gi;
const SHORTEST_PART = 16;

export function secretsOf({ injection, secrets }: Credential): readonly string[] {
  const value = injection.value.reveal();
  // `Bearer x` and `Basic x`: the scheme is no secret.
  const afterScheme = value.slice(value.indexOf(' ') + 1);
  const whole = [afterScheme, ...secrets.map((secret) => secret.reveal())];
  return [...whole, ...(/^basic /i.test(value) ? passwordOf(afterScheme) : []), ...whole.flatMap(signaturesIn)];
}

function passwordOf(pair: string): string[] {
  const text = Buffer.from(pair, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? [] : [text.slice(colon + 1)];
}

function signaturesIn(secret: string): string[] {
  const [, , signature] = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(secret)?.slice(1) ?? [];
  const parts = [...secret.matchAll(SIGNATURES)].flatMap(([, text = '']) => [text, decoded(text)]);
  return [...(signature === undefined ? [] : [signature]), ...parts].filter(({ length }) => length >= SHORTEST_PART);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The bytes to look for: each secret in UTF-8 and in Latin-1 (as fields hold it), as a form writes its blanks, as CSV,
 * SQL and a shell write its quotes, and, where it is hex, or base64url like a token or a signature, what it encodes,
 * because a server may print that in another alphabet.
 */
export function needlesOf(secrets: readonly string[], shortest: number): readonly Buffer[] {
  const needles = new Map<string, Buffer>();
  for (const secret of secrets) {
    if (secret.length < shortest) continue;
    const forms = [
      Buffer.from(secret, 'utf8'),
      Buffer.from(secret, 'latin1'),
      Buffer.from(secret.replaceAll(' ', '+'), 'utf8'),
    ];
    for (const [quote, written] of QUOTES)
      if (secret.includes(quote)) forms.push(Buffer.from(secret.replaceAll(quote, written), 'utf8'));
    const digits = secret.replaceAll('-', '');
    if (isHex(digits)) forms.push(Buffer.from(digits, 'hex'));
    else if (isEncoded(secret)) forms.push(Buffer.from(secret, 'base64'));
    for (const form of forms) needles.set(form.toString('latin1'), form);
  }
  return [...needles.values()];
}

/** What stands for a quote inside quotes. */
const QUOTES: readonly (readonly [string, string])[] = [
  ['"', '""'],
  ["'", "''"],
  ["'", "'\\''"],
];

/** At least 128 bits of base64url or base64 and of no hex: what it encodes is as long as no accident. */
function isEncoded(secret: string): boolean {
  return secret.length >= 22 && /^[A-Za-z0-9_/+-]+={0,2}$/.test(secret) && !/^[0-9a-f]+$/i.test(secret);
}

/** Whole bytes in hex, at least 128 bits, a UUID's without its hyphens: its letters may come back in the other case. */
function isHex(digits: string): boolean {
  return digits.length >= 32 && /^(?:[0-9a-f]{2})+$/i.test(digits);
}
