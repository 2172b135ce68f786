// Content-Type and Content-Encoding of bodies that are read: which can be shown to a reviewer and compared by a rule.
// Trusts the fields to be unique (fields.ts). Refuses what would be decoded before it means anything: other charsets,
// compression, multipart.

import { type HeaderList, header } from '../domain/headers.ts';
import { isCoded } from '../domain/normal-forms/fields.ts';
import { GatewayError } from '../errors.ts';

export type MediaKind = 'json' | 'form' | 'xml' | 'text';

/** Text under another name: XML, as S3 and SOAP send it, and YAML, as Kubernetes takes it. */
const XML = /^(?:application|text)\/(?:[a-z0-9!#$&^_.-]+\+)?xml$/;
const YAML = /^application\/(?:x-yaml|(?:[a-z0-9!#$&^_.-]+\+)?yaml)$/;

/**
 * What kind of inspectable body the fields announce. Throws `unsupported_media_type` for anything but JSON, urlencoded
 * forms, text/*, XML and YAML, for a charset other than UTF-8 (US-ASCII is part of it), and for a Content-Encoding.
 */
export function mediaKind(headers: HeaderList): MediaKind {
  if (isCoded(header(headers, 'content-encoding')))
    throw refusal('The body is compressed; send it without Content-Encoding.');
  const contentType = header(headers, 'content-type');
  if (contentType === undefined) throw refusal('The body has no Content-Type.');
  const [essence = '', ...parameters] = contentType.toLowerCase().split(';');
  checkParameters(parameters);
  const type = essence.trim();
  // DynamoDB, KMS, Secrets Manager and others of AWS: JSON by another name.
  if (
    type === 'application/json' ||
    /^application\/x-amz-json-1\.[01]$/.test(type) ||
    /^application\/[a-z0-9!#$&^_.-]+\+json$/.test(type)
  )
    return 'json';
  if (type === 'application/x-www-form-urlencoded') return 'form';
  if (XML.test(type)) return 'xml';
  if (YAML.test(type) || /^text\/[a-z0-9!#$&^_.+-]+$/.test(type)) return 'text';
  throw refusal('Bodies of this Content-Type cannot be shown to a reviewer or compared by a rule.');
}

/**
 * A quoted semicolon splits here too, and the halves are then refused or harmless: no parameter but charset changes how
 * a body is read.
 */
function checkParameters(parameters: readonly string[]): void {
  let charsets = 0;
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=').map((part) => part.trim());
    if (name !== 'charset') continue;
    if (++charsets > 1 || !/^"?(?:utf-?8|us-ascii)"?$/.test(value)) throw refusal('The body has to be in UTF-8.');
  }
}

function refusal(detail: string): GatewayError {
  return new GatewayError('unsupported_media_type', detail);
}

/**
 * `text`: the bytes as Latin-1. Throws `unsupported_media_type` for XML that names another encoding than the one in
 * which people are shown it.
 */
export function checkXmlEncoding(text: string): void {
  const [declaration = ''] = /^(?:\xef\xbb\xbf)?\s*<\?xml[^>]*>/i.exec(text) ?? [];
  const [, encoding] = /encoding\s*=\s*["']?([^"'?>\s]*)/i.exec(declaration) ?? [];
  if (encoding !== undefined && !/^(?:utf-?8|us-ascii|ascii)$/i.test(encoding))
    throw refusal('The body has to be in UTF-8, and its XML declaration names another encoding.');
}
