// `now`: when the call is decided.

import type { ValueVariable } from './variable.ts';

export const now: ValueVariable = {
  name: 'now',
  type: 'google.protobuf.Timestamp',
  meaning: 'the time of the decision',
  value: ({ input: { now: at } }) => (at === undefined ? undefined : new Date(at)),
};
