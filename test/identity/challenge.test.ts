import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { challenge } from '../../src/identity/challenge.ts';

const realm = { realm: 'countersign' };

describe('WWW-Authenticate', () => {
  it('says nothing of an error when no credential was sent', () => {
    expect(challenge(new GatewayError('unauthenticated', 'The call carries no credential.'), realm)).toBe(
      'Bearer realm="countersign"',
    );
    const reviewer = new GatewayError('reviewer_unauthenticated', 'No credential.', {
      members: { reason: 'unauthenticated' },
    });
    expect(challenge(reviewer, realm)).toBe('Bearer realm="countersign"');
  });

  it('calls a refused token invalid and says why', () => {
    expect(challenge(new GatewayError('token_expired', 'The token has expired (exp).'), realm)).toBe(
      'Bearer realm="countersign", error="invalid_token", error_description="The token has expired (exp)."',
    );
    const reviewer = new GatewayError('reviewer_unauthenticated', 'Wrong audience.', {
      members: { reason: 'token_audience' },
    });
    expect(challenge(reviewer, realm)).toContain('error="invalid_token"');
  });

  it('calls a repeated field an invalid request', () => {
    expect(challenge(new GatewayError('bad_header', 'Twice.'), realm)).toContain('error="invalid_request"');
  });

  it('asks for a fresh sign-in where a tier needs one', () => {
    expect(challenge(new GatewayError('step_up_required', 'Sign in again.'), realm)).toBe(
      'Bearer realm="countersign", error="insufficient_user_authentication", error_description="Sign in again.", max_age=300',
    );
  });

  it('cannot be broken out of', () => {
    expect(challenge(new GatewayError('token_claims', 'a "b" \\ c\r\nd’s \u00e9'), realm)).toBe(
      'Bearer realm="countersign", error="invalid_token", error_description="a ?b? ? c??d\'s ?"',
    );
  });
});
