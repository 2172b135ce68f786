import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterMount, checkTarget } from '../../src/actions/path.ts';

describe('checkTarget', () => {
  it.each([
    ['/', { mount: '', path: '/' }],
    ['/tools', { mount: 'tools', path: '/' }],
    ['/tools/', { mount: 'tools', path: '/' }],
    ['/tools?a=b', { mount: 'tools', path: '/', query: 'a=b' }],
    ['/tools/a/?', { mount: 'tools', path: '/a/', query: '' }],
    ['/api/.well-known/a..b/c.', { mount: 'api', path: '/.well-known/a..b/c.' }],
    ["/api/a:b@c!$&'()*+,=~-_", { mount: 'api', path: "/a:b@c!$&'()*+,=~-_" }],
    ['/api/caf%c3%a9/%7Eme', { mount: 'api', path: '/caf%c3%a9/%7Eme' }],
    ['/api/%E6%97%A5%E6%9C%AC', { mount: 'api', path: '/%E6%97%A5%E6%9C%AC' }],
  ])('reads %s', (target, expected) => {
    expect(checkTarget(target)).toEqual(expected);
  });

  it('keeps what follows the mount to the byte, so that /tools and /tools/ stay different calls', () => {
    expect(['/tools', '/tools/', '/tools?x', '/tools/a?x'].map((target) => afterMount(target, 'tools'))).toEqual([
      '',
      '/',
      '?x',
      '/a?x',
    ]);
  });

  it('accepts every path of plainly encoded segments', () => {
    const segment = fc
      .string({ unit: 'grapheme-ascii', minLength: 1 })
      .filter((text) => !/^[. ]*$/.test(text) && !/[/\\%;]/.test(text));
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (segments) => {
        const target = `/${segments.map(encodeURIComponent).join('/')}`;
        const { mount, path } = checkTarget(target);
        expect(segments.length === 1 ? `/${mount}` : `/${mount}${path}`).toBe(target);
      }),
    );
  });

  it('accepts only paths that the URL standard leaves as they are', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2E',
      '%2F',
      '%5C',
      '%C3%A9',
      '%EF%BC%8E',
      ';',
      '\\',
      '#',
      'a',
      '~',
      '%61',
      '%',
      '%20',
      '|',
      '"',
      '\u00e9',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const target = `/api/${pieces.join('')}`;
        try {
          checkTarget(target);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad_path' });
          return;
        }
        expect(new URL(`http://a${target}`).pathname).toBe(target);
      }),
      { numRuns: 2000 },
    );
  });
});
