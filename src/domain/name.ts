// Names of people, agents and groups: which texts can be one, and when two of them are one. What cannot be seen must
// not tell two names apart.

import { visible } from './visible-text.ts';

/**
 * Whether everything in a name is seen: no control, format, bidi or ignorable character, no space but single ones
 * between words, and one spelling of each letter (Unicode NFC).
 */
export function isName(text: string): boolean {
  return text !== '' && visible(text).made === 0 && !/^ | {2}| $/.test(text) && text.normalize('NFC') === text;
}

const IGNORED = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;

/**
 * Equal for names that differ in letter case, width, composition or ignorable characters only (compatibility caseless
 * matching, Unicode section 3.13). The key of a key is the key itself.
 */
export function nameKey(name: string): string {
  const parts = name.normalize('NFKD').replace(IGNORED, '').replaceAll(IOTA_BELOW, 'ι');
  return foldCase(parts).normalize('NFKC').trim();
}

/** The one combining mark that is a letter in capitals. It must not move past other marks before it is one. */
const IOTA_BELOW = '\u0345';

/** `ẞ` becomes `ß` only in small letters, and `ß` becomes `SS` only in capitals: each direction is needed. */
const foldCase = (text: string): string => text.toLowerCase().toUpperCase().toLowerCase();
