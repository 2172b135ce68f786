import { describe, expect, it } from 'vitest';
import type { ResponseSink } from '../../src/domain/upstream.ts';
import { RefusedAnswer } from '../../src/steps/refused-answer.ts';

/** A sink that remembers what reached the agent. */
function recordingSink() {
  const told: string[] = [];
  const sink: ResponseSink = {
    head: (status) => void told.push(`head ${status}`),
    write(chunk) {
      told.push(`write ${chunk.length}`);
      return false;
    },
    onDrain: (callback) => callback(),
    whole: (status, _headers, body) => void told.push(`whole ${status} ${body.length}`),
    end: () => void told.push('end'),
    abort: () => void told.push('abort'),
    get started() {
      return told.length > 0;
    },
  };
  return { sink, told };
}

describe('keeping back a refusal', () => {
  it.each([200, 204, 302, 403, 500])('lets an answer of %i through as it comes', (status) => {
    const { sink, told } = recordingSink();
    const keeping = new RefusedAnswer(sink);
    keeping.head(status, []);
    expect(keeping.write('abc')).toBe(false);
    keeping.end();
    keeping.letGo();
    expect(told.slice(0, 3)).toEqual([`head ${status}`, 'write 3', 'end']);
    expect(told).toHaveLength(3);
    expect(keeping.kept).toBe(false);
  });

  it.each(['whole', 'streamed'] as const)(
    'tells the agent nothing of a 401 that came %s, until it is let go',
    (how) => {
      const { sink, told } = recordingSink();
      const keeping = new RefusedAnswer(sink);
      if (how === 'whole') keeping.whole(401, [], 'no');
      else {
        keeping.head(401, []);
        expect(keeping.write('no')).toBe(true);
        keeping.end();
      }
      expect([keeping.kept, keeping.started, told]).toEqual([true, false, []]);
      keeping.letGo();
      expect(told).toEqual(how === 'whole' ? ['whole 401 2'] : ['head 401', 'write 2', 'end']);
    },
  );

  it('does not keep a 401 that is longer than the bound', () => {
    const { sink, told } = recordingSink();
    const keeping = new RefusedAnswer(sink);
    keeping.head(401, []);
    for (let i = 0; i < 70; i++) keeping.write(Buffer.alloc(1024));
    keeping.end();
    expect(keeping.kept).toBe(false);
    expect([told[0], told.length, told.at(-1)]).toEqual(['head 401', 72, 'end']);
  });

  it('cuts the agent’s connection when a 401 breaks off', () => {
    const { sink, told } = recordingSink();
    const keeping = new RefusedAnswer(sink);
    keeping.head(401, []);
    keeping.abort();
    expect([keeping.kept, told]).toEqual([false, ['abort']]);
  });
});
