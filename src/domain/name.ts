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
 * Equal for names that differ in letter case, width, composition or ignorable characters only (after NFKC_Casefold of
 * UAX 44).
 */
export function nameKey(name: string): string {
  return name.normalize('NFKC').replace(IGNORED, '').toUpperCase().toLowerCase().normalize('NFKC').trim();
}
