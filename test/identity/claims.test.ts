import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { checkCommonClaims } from '../../src/identity/tokens/claims.ts';

const AUDIENCE = 'https://gateway.example.org';
const NOW = 1_800_000_000;

describe('times in a token', () => {
  it('accepts exactly those that are in force and live short enough', () => {
    // The second in which one stands for the next is drawn often, and not by chance alone.
    const around = fc.oneof(fc.integer({ min: NOW - 200, max: NOW + 200 }), fc.constantFrom(NOW - 1, NOW, NOW + 1));
    fc.assert(
      fc.property(
        around,
        fc.option(around, { nil: undefined }),
        fc.option(around, { nil: undefined }),
        fc.nat(60),
        (exp, nbf, iat, skew) => {
          const claims = { aud: AUDIENCE, exp, ...(nbf !== undefined && { nbf }), ...(iat !== undefined && { iat }) };
          const inForce = exp > NOW && (nbf ?? 0) <= NOW + skew && (iat ?? 0) <= NOW + skew;
          const accepted = inForce && exp - (iat ?? NOW) <= 150;
          const check = () =>
            checkCommonClaims(
              claims,
              { audience: [AUDIENCE], maxLifetimeMs: 150_000, clockSkewMs: skew * 1000 },
              NOW * 1000,
            );
          if (accepted) expect(check()).toBe(exp * 1000);
          else expect(check).toThrow(GatewayError);
        },
      ),
      { numRuns: 500 },
    );
  });
});
