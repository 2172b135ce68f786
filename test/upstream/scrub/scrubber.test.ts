import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/domain/secret.ts';
import { createScrubber, scrubberFor } from '../../../src/upstream/scrub/scrubber.ts';

const SECRET = 'gho_16C7e42F/292c+6912E7=710c';

function streamed(secrets: readonly string[], chunks: readonly Buffer[]): Buffer {
  const scrub = createScrubber(secrets).stream();
  return Buffer.concat([...chunks.map((chunk) => scrub.push(chunk)), scrub.flush()]);
}

function split(body: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (body.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => body.subarray(from, at[i] ?? body.length));
}

/** The ways in which a server may echo a secret, with what stands around it in the same encoding. */
const wrappings: readonly ((secret: string, noise: string) => string)[] = [
  (secret) => secret,
  (secret, noise) => Buffer.from(`${noise}${secret}${noise}`).toString('base64'),
  (secret, noise) => Buffer.from(`${noise}${secret}${noise}`).toString('base64url'),
  (secret) => encodeURIComponent(secret),
  (secret) => encodeURIComponent(secret).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  (secret) => JSON.stringify(secret),
  (secret) => JSON.stringify(secret).replaceAll('/', '\\/'),
];

// What real secrets are made of, and what makes the encodings differ.
const secrets = fc
  .string({ unit: fc.constantFrom(...'abcXYZ0189-_.~+/= "\\&%é'), minLength: 8, maxLength: 48 })
  .filter((text) => text.trim().length >= 8);
const noises = fc.string({ unit: fc.constantFrom(...'ab :{}\n"'), maxLength: 12 });

describe('scrubbing a body', () => {
  it('lets no form of the secret survive, however the body is cut', () => {
    const cases = fc.array(fc.record({ before: noises, wrap: fc.constantFrom(...wrappings), noise: noises }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(secrets, cases, noises, fc.array(fc.nat(), { maxLength: 12 }), (secret, parts, after, cuts) => {
        const body = Buffer.from(parts.map(({ before, wrap, noise }) => before + wrap(secret, noise)).join('') + after);
        const clean = streamed([secret], split(body, cuts)).toString();
        for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
          expect(clean).not.toContain(form);
        for (const word of clean.match(/[A-Za-z0-9+/_-]{8,}=*/g) ?? [])
          expect(Buffer.from(word, 'base64').toString()).not.toContain(secret);
        expect(createScrubber([secret]).whole(body).toString()).not.toContain(secret);
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same however the body is cut, and the same as for the whole', () => {
    fc.assert(
      fc.property(
        secrets,
        fc.array(fc.tuple(noises, fc.boolean())),
        fc.array(fc.nat(), { maxLength: 12 }),
        (secret, parts, cuts) => {
          const body = Buffer.from(
            parts.map(([noise, with_]) => noise + (with_ ? secret : secret.slice(0, 5))).join(''),
          );
          expect(streamed([secret], split(body, cuts))).toEqual(createScrubber([secret]).whole(body));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('leaves every other body as it is, byte for byte', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat(), { maxLength: 12 }), (bytes, cuts) => {
        const body = Buffer.from(bytes);
        expect(streamed([SECRET], split(body, cuts))).toEqual(body);
        expect(createScrubber([SECRET]).whole(body)).toBe(body);
      }),
    );
  });

  // Words are kept back whole: any of them may turn out to be base64 of the secret, or its beginning.
  it('holds back nothing but the last word', () => {
    const scrub = createScrubber([SECRET]).stream();
    for (const line of ['data: {"a":1}\n\n', 'a line of a log\n', '{"partial":"json', '" }']) {
      const [complete = '', word = ''] = /^(.*?)(json)?$/s.exec(line)?.slice(1) ?? [];
      expect(scrub.push(Buffer.from(line)).toString().replace(/^json/, '')).toBe(complete);
      if (word === '') continue;
      expect(scrub.push(Buffer.from('!')).toString()).toBe('json!');
    }
    expect(scrub.push(Buffer.from(`(x${SECRET.slice(0, 7)}`)).toString()).toBe('(');
    expect(scrub.push(Buffer.from('!\n')).toString()).toBe(`x${SECRET.slice(0, 7)}!\n`);
    expect(scrub.flush()).toHaveLength(0);
  });

  it('does not look in bodies for secrets shorter than 8 characters', () => {
    expect(createScrubber(['short']).scrubsBodies).toBe(false);
    expect(
      createScrubber(['short', SECRET])
        .whole(Buffer.from(`short ${SECRET}`))
        .toString(),
    ).toBe('short [scrubbed]');
    expect(createScrubber(['short']).field('short')).toBe('[scrubbed]');
  });
});

describe('the scrubber of a credential', () => {
  const parts = {
    id: 'cred_1',
    name: 'key',
    provider: 'static',
    revocability: 'none',
    granted: {},
    exclusive: false,
  } as const;

  it('knows what follows the scheme of the injected value, and every secret behind it', () => {
    const basic = Buffer.from('svc:pass-word-1').toString('base64');
    const value = new Secret(`Basic ${basic}`);
    const scrubber = scrubberFor({
      ...parts,
      injection: { in: 'header', name: 'authorization', value },
      secrets: [new Secret('pass-word-1')],
    });
    expect(scrubber.field(`Basic ${basic}`)).toBe('Basic [scrubbed]');
    expect(scrubber.field(`basic ${basic}`)).toBe('basic [scrubbed]');
    expect(scrubber.field('p=pass-word-1')).toBe('p=[scrubbed]');
    expect(scrubber.field('svc:other')).toBe('svc:other');
  });

  it('is made once for a minted secret, whatever calls share it', () => {
    const injection = { in: 'header', name: 'x', value: new Secret(SECRET) } as const;
    expect(scrubberFor({ ...parts, injection, secrets: [] })).toBe(
      scrubberFor({ ...parts, id: 'cred_2', injection, secrets: [] }),
    );
  });
});
