// What a request to open a WebSocket asks for (RFC 6455 section 4.1), in the form that rules read, approvals bind and
// the upstream gets: nothing of the handshake goes upstream that is not in here, but a key of sixteen bytes. Refuses
// offers that cannot be read in one way, and such as carry a credential: the agent's stays here, and a reviewer must
// not read another's.

import type { UpgradeOffer } from '../domain/action.ts';
import { fieldPairs, type HeaderList, headerValues } from '../domain/headers.ts';
import { GatewayError } from '../errors.ts';

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
/** One extension with its parameters; a quoted value may hold what a token could hold (RFC 6455 section 9.1). */
const EXTENSION =
  /^[!#$%&'*+.^_`|~0-9a-z-]+(?:\s*;\s*[!#$%&'*+.^_`|~0-9a-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9a-z-]+|"[!#$%&'*+.^_`|~0-9a-z-]+"))?)*$/i;
const KEY = /^[0-9a-z+/]{21}[AQgw]==$/i;
const MOST_OFFERS = 16;
/** Names are short. Nearly everything that proves somebody's identity is longer. */
const LONGEST_SUBPROTOCOL = 48;
const LONGEST_EXTENSION = 128;
/**
 * Under such names clients that cannot set Authorization send a token: Kubernetes, AppSync, model providers, many
 * gateways.
 */
const TELLS_OF_CREDENTIAL =
  /bearer|authori[sz]ation|api[-._]?key|token|secret|passw|credential|cookie|jwt|^eyj|\.eyj|^header-|^auth[-._]/i;
/** Fields of which anybody may repeat the value. */
const NO_SECRETS =
  /^(?:host|user-agent|origin|referer|from|date|pragma|cache-control|accept(?:-.*)?|sec-.*|content-.*)$/;
/** Shorter values of credential fields are found in anything. */
const SHORTEST_CREDENTIAL = 8;

/** Throws `upgrade_refused` and `bad_header`. */
export function readOffer(headers: HeaderList): UpgradeOffer {
  const [key, ...moreKeys] = values(headers, 'sec-websocket-key');
  const versions = values(headers, 'sec-websocket-version');
  if (key === undefined || moreKeys.length > 0 || !KEY.test(key) || versions.length !== 1 || versions[0] !== '13') {
    throw new GatewayError(
      'upgrade_refused',
      'Only a WebSocket handshake of version 13 with one valid key can be upgraded.',
    );
  }
  const subprotocols = offers(headers, 'sec-websocket-protocol');
  if (subprotocols.some((name) => !TOKEN.test(name)) || new Set(subprotocols).size !== subprotocols.length) {
    throw bad('The subprotocols that the WebSocket handshake offers are not a list of different names.');
  }
  const extensions = offers(headers, 'sec-websocket-extensions').map((text) => text.replace(/\s*;\s*/g, '; '));
  if (extensions.some((text) => !EXTENSION.test(text) || text.length > LONGEST_EXTENSION)) {
    throw bad('The extensions that the WebSocket handshake offers are malformed or too long.');
  }
  const offer = { extensions, protocol: 'websocket', subprotocols } as const;
  refuseCredentials(offer, headers);
  return offer;
}

/** The items of all fields of a name; empty ones do not count (RFC 9110 section 5.6.1). */
function offers(headers: HeaderList, name: string): string[] {
  const items = values(headers, name).flatMap((value) => value.split(',').flatMap((item) => item.trim() || []));
  if (items.length > MOST_OFFERS)
    throw bad(`The WebSocket handshake offers more than ${MOST_OFFERS} subprotocols or extensions.`);
  return items;
}

function values(headers: HeaderList, name: string): string[] {
  return headerValues(headers, name).map((value) => value.trim());
}

/**
 * Names that tell of a credential, names that are too long to be names, and whatever another field of this request
 * holds: a value that is a credential there would be one here, in any of the forms in which clients write it.
 */
function refuseCredentials({ subprotocols, extensions }: UpgradeOffer, headers: HeaderList): void {
  const told = subprotocols.some((name) => name.length > LONGEST_SUBPROTOCOL || TELLS_OF_CREDENTIAL.test(name));
  if (
    told ||
    extensions.some((text) => TELLS_OF_CREDENTIAL.test(text)) ||
    repeatsField([...subprotocols, ...extensions], headers)
  ) {
    throw bad(
      'The WebSocket handshake carries a credential in a subprotocol or an extension. Send the token in the ' +
        'field that this gateway reads it from.',
    );
  }
}

function repeatsField(texts: readonly string[], headers: HeaderList): boolean {
  const secrets = [...fieldPairs(headers)].flatMap(([name, value]) =>
    NO_SECRETS.test(name) ? [] : value.split(/[\s,;=]+/),
  );
  return secrets.some(
    (secret) =>
      secret.length >= SHORTEST_CREDENTIAL && texts.some((text) => formsOf(secret).some((form) => text.includes(form))),
  );
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'latin1');
  return [
    secret,
    bytes.toString('base64url'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
    encodeURIComponent(secret),
  ];
}

function bad(detail: string): GatewayError {
  return new GatewayError('bad_header', detail);
}
