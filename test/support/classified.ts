// A classification as tests need it: what nothing classifies, with what the test says of it.

import type { Classification } from '../../src/domain/classification.ts';

export const classified = (more: Partial<Classification> = {}): Classification => ({
  ...{ resources: [], operation: 'read', owners: [], taints: [], carries: [], result: [] },
  ...more,
});
