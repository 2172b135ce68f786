// A system clock that a test sets, for a gateway in a process of its own: loaded before everything else (`--import`),
// it adds to Date.now() what a file says. The monotonic clock is left as it is, as an NTP step or an operator leaves
// it.

import { readFileSync } from 'node:fs';

const path = process.env.E2E_CLOCK_SHIFT_FILE ?? '';
const now = Date.now.bind(Date);
Date.now = () => now() + Number(readFileSync(path, 'utf8'));
