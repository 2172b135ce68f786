// The ASCII characters by which the forms of a secret are told apart.

export const BACKSLASH = 0x5c;
export const PERCENT = 0x25;
export const AMPERSAND = 0x26;
export const EQUALS = 0x3d;
export const LF = 0x0a;
export const CR = 0x0d;
