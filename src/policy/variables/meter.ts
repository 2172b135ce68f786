// `meter`: what the meters of the configuration have counted, this call included where they count it.

import type { NamedVariable } from './variable.ts';

export const meter: NamedVariable = {
  name: 'meter',
  type: 'Meters',
  meaning: 'the count of the meter of this name, with this call if the meter counts it; a decimal number',
  reads: 'meter',
  namedBy: 'meters',
  memberType: 'double',
  value: ({ input }) => input.facts?.meters,
};
