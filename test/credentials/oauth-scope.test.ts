import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grantedScope, narrow, surplusScope, toParameters } from '../../src/credentials/oauth/scope.ts';

const value = fc.stringMatching(/^[!#-[\]-~]{1,12}$/);
const values = fc.uniqueArray(value, { minLength: 1, maxLength: 6 });

describe('narrowing of OAuth grants', () => {
  it('takes the configured bounds when the rule says nothing', () => {
    expect(narrow({ scope: 'read write', resource: 'https://a.example' }, {})).toEqual({
      scope: ['read', 'write'],
      resource: ['https://a.example'],
    });
  });

  it('accepts exactly the subsets of what is configured', () => {
    fc.assert(
      fc.property(values, values, (most, some) => {
        const ask = () => narrow({ scope: most }, { scope: some });
        if (some.every((one) => most.includes(one))) expect(ask()).toEqual({ scope: some });
        else expect(ask).toThrow(expect.objectContaining({ code: 'credential_unavailable' }));
      }),
    );
  });

  it('lets the rule choose where nothing is configured', () => {
    expect(narrow({}, { scope: ['read'], audience: 'ledger' })).toEqual({ scope: ['read'], audience: ['ledger'] });
  });

  it.each([
    { scope: ['read write'] },
    { scope: ['repo:a admin'] },
    { scope: 'a"b' },
    { scope: '' },
    { scope: [] },
    { scope: 7 },
    { scope: ['a', null] },
    { resource: ['https://a.example\r\nx'] },
    { permissions: { admin: true } },
  ])('refuses the narrowing %j', (wanted) => {
    expect(() => narrow({}, wanted)).toThrow(expect.objectContaining({ code: 'credential_unavailable' }));
  });

  it('holds the granted scope against the asked one', () => {
    fc.assert(
      fc.property(values, values, (asked, granted) => {
        expect(surplusScope({ scope: asked }, granted)).toEqual(granted.filter((one) => !asked.includes(one)));
        expect(surplusScope({ scope: asked }, granted, granted)).toEqual([]);
      }),
    );
    expect(grantedScope({ scope: ['read'] }, undefined)).toEqual(['read']);
    expect(grantedScope({ scope: ['read'] }, '')).toEqual([]);
  });

  it('writes scope as one field and audience and resource as several', () => {
    expect(toParameters({ scope: ['a', 'b'], audience: ['x', 'y'], resource: ['z'] }).toString()).toBe(
      'scope=a+b&audience=x&audience=y&resource=z',
    );
  });
});
