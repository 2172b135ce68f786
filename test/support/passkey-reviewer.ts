// A person at the console without a browser, who signs decisions with a passkey: a software authenticator (ES256, no
// attestation, user verification always), whose answers are those of WebAuthn level 3 sections 6.1, 6.5 and 8.7.

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { createVisitor, type Visitor } from './visitor.ts';

const base64url = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url');
const sha256 = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest();

/** CBOR (RFC 8949) of what an attestation object holds: text, bytes, small integers and maps. */
function cbor(value: unknown): Buffer {
  if (typeof value === 'number') return head(value < 0 ? 1 : 0, value < 0 ? -1 - value : value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.byteLength), value]);
  const entries = [...(value as ReadonlyMap<unknown, unknown>)];
  return Buffer.concat([head(5, entries.length), ...entries.flatMap(([key, member]) => [cbor(key), cbor(member)])]);
}

function head(major: number, length: number): Buffer {
  const type = major << 5;
  if (length < 24) return Buffer.from([type | length]);
  return length < 256 ? Buffer.from([type | 24, length]) : Buffer.from([type | 25, length >> 8, length & 255]);
}

/** User present and verified; with `AT`, a new credential follows. */
const FLAGS = 0x05;
const AT = 0x40;

interface Authenticator {
  create(options: { readonly challenge: string; readonly rp: { readonly id: string } }): object;
  get(options: { readonly challenge: string; readonly rpId: string }): object;
}

function newAuthenticator(origin: string): Authenticator {
  const { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
  });
  const id = randomBytes(32);
  let counter = 0;
  const client = (type: string, challenge: string) => Buffer.from(JSON.stringify({ type, challenge, origin }));
  const authenticatorData = (rpId: string, flags: number, credential: Uint8Array = Buffer.alloc(0)) => {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(++counter);
    return Buffer.concat([sha256(rpId), Buffer.from([flags]), count, credential]);
  };
  const answer = (response: object) => ({
    ...{ id: base64url(id), rawId: base64url(id), type: 'public-key', clientExtensionResults: {} },
    response,
  });
  return {
    create({ challenge, rp }) {
      const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
      // COSE_Key of ES256 (RFC 9053 section 2.1).
      const key = cbor(
        new Map<number, unknown>([
          [1, 2],
          [3, -7],
          [-1, 1],
          [-2, Buffer.from(x, 'base64url')],
          [-3, Buffer.from(y, 'base64url')],
        ]),
      );
      const credential = Buffer.concat([Buffer.alloc(16), Buffer.from([0, id.length]), id, key]);
      const attestation = new Map<string, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authenticatorData(rp.id, FLAGS | AT, credential)],
      ]);
      return answer({
        clientDataJSON: base64url(client('webauthn.create', challenge)),
        attestationObject: base64url(cbor(attestation)),
        transports: ['internal'],
      });
    },
    get({ challenge, rpId }) {
      const data = authenticatorData(rpId, FLAGS);
      const said = client('webauthn.get', challenge);
      return answer({
        clientDataJSON: base64url(said),
        authenticatorData: base64url(data),
        signature: base64url(sign('sha256', Buffer.concat([data, sha256(said)]), privateKey)),
      });
    },
  };
}

export interface PasskeyReviewer {
  /** The page of a hold, as HTML. */
  page(id: string): Promise<string>;
  /** Signs the decision with the passkey and casts it. Fails unless the console has taken it. */
  decide(id: string, decision: 'approve' | 'deny', reason?: string): Promise<void>;
  /** The same without the passkey; gives the status of the answer. */
  decideUnsigned(id: string, decision: 'approve' | 'deny', reason?: string): Promise<number>;
}

/**
 * Signs in at the console with the claims that its issuer gives, and registers a passkey. `origin` has a domain name,
 * `http://localhost:8081` for example.
 */
export async function openPasskeyReviewer(origin: string, name: string): Promise<PasskeyReviewer> {
  const visitor: Visitor = createVisitor(name);
  await visitor.signIn(origin);
  const authenticator = newAuthenticator(origin);

  const textOf = async (path: string) => {
    const response = await visitor.fetch(`${origin}${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text;
  };
  const fieldIn = (html: string, field: string): string => {
    const value = new RegExp(`name="${field}" value="([^"]*)"`).exec(html)?.[1];
    if (value === undefined) throw new Error(`the page has no ${field}: ${html}`);
    return value;
  };
  const json = async (path: string, form: Readonly<Record<string, string>>) => {
    const response = await visitor.fetch(`${origin}${path}`, form, { accept: 'application/json' });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as { readonly options: never; readonly ticket: string };
  };

  const csrf = fieldIn(await textOf('/passkeys'), 'csrf');
  const { options, ticket } = await json('/passkeys/begin', { csrf });
  const made = JSON.stringify(authenticator.create(options));
  await json('/passkeys/add', { csrf, label: 'key', ticket, response: made });

  const vote = async (id: string, decision: string, reason: string, signed: boolean) => {
    const bindingDigest = fieldIn(await textOf(`/holds/${id}`), 'bindingDigest');
    const form = { csrf, bindingDigest, decision };
    const more: Record<string, string> = {};
    if (signed) {
      const asked = await json(`/holds/${id}/passkey`, form);
      Object.assign(more, { ticket: asked.ticket, assertion: JSON.stringify(authenticator.get(asked.options)) });
    }
    return visitor.fetch(`${origin}/holds/${id}/vote`, { ...form, reason, ...more });
  };
  return {
    page: (id) => textOf(`/holds/${id}`),
    async decide(id, decision, reason = 'looked at it') {
      const response = await vote(id, decision, reason, true);
      if (response.status !== 303) throw new Error(`${decision} ${id}: ${response.status} ${await response.text()}`);
    },
    async decideUnsigned(id, decision, reason = 'looked at it') {
      return (await vote(id, decision, reason, false)).status;
    },
  };
}
