// A human who decides. Comes from a verified sign-in at the reviewers' plane, never from an agent's token.

import type { EpochMs } from './clock.ts';

export interface Reviewer {
  /** `<issuer>#<subject>`. */
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  /** For display only; never compared. */
  readonly name?: string;
  readonly groups: readonly string[];
  /** When the person last signed in (`auth_time`), where the issuer says. */
  readonly authenticatedAt?: EpochMs;
  /** Authentication context and methods (`acr`, `amr`), where the issuer says. */
  readonly acr?: string;
  readonly amr?: readonly string[];
}
