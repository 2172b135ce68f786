import { beforeEach, describe, expect, it } from 'vitest';
import type { ToolPin, ToolPinStore } from '../../src/domain/tool-pin.ts';
import { createToolPins, type PinEvent, toolDigest } from '../../src/mcp/tool-pins.ts';

const tool = (description: string, more: object = {}) => ({
  name: 'pay',
  description,
  inputSchema: { type: 'object' },
  ...more,
});
const options = { pinnedTools: {}, acceptChanges: false };
let kept: ToolPin[];
let events: PinEvent['event'][];
let failing: boolean;

const store: ToolPinStore = {
  all: () => kept,
  async keep(pins) {
    if (failing) throw new Error('disk full');
    kept = [...kept.filter(({ tool: name }) => !pins.some((pin) => pin.tool === name)), ...pins];
  },
};
const open = () => createToolPins(store, ({ event }) => events.push(event));
const state = (pins = open()) => ({
  now: pins.get('x', 'pay')?.definition.description,
  pinned: pins.get('x', 'pay')?.pinned?.description,
});

beforeEach(() => {
  kept = [];
  events = [];
  failing = false;
});

describe('a tool’s pin', () => {
  it('is the first definition seen, and stays through changes and restarts until one is accepted', async () => {
    const pins = open();
    pins.observe('x', tool('a'), options);
    pins.observe('x', tool('a'), options);
    pins.observe('x', tool('b'), options);
    pins.observe('x', tool('c'), options);
    await pins.flush();
    expect(state(pins)).toEqual({ now: 'c', pinned: 'a' });
    expect(state()).toEqual({ now: 'c', pinned: 'a' });
    pins.accept('x', 'pay', tool('b'));
    expect(state(pins)).toEqual({ now: 'c', pinned: 'a' });
    pins.accept('x', 'pay', tool('c'));
    await pins.flush();
    expect(state()).toEqual({ now: 'c', pinned: undefined });
    expect(events).toEqual(['tool_pinned', 'tool_changed', 'tool_changed', 'tool_accepted']);
  });

  it('holds again once the server gives the pinned definition again', () => {
    const pins = open();
    for (const description of ['a', 'b', 'a']) pins.observe('x', tool(description), options);
    expect(state(pins)).toEqual({ now: 'a', pinned: undefined });
    expect(events.at(-1)).toBe('tool_restored');
  });

  it('does not look at icons and _meta, and looks at everything else', () => {
    const pins = open();
    pins.observe('x', tool('a'), options);
    pins.observe('x', tool('a', { icons: [1], _meta: { x: 1 } }), options);
    expect(state(pins).pinned).toBeUndefined();
    pins.observe('x', tool('a', { annotations: { readOnlyHint: true } }), options);
    expect(state(pins).pinned).toBe('a');
  });

  it('is the configured digest where there is one, whatever was seen first or accepted since', () => {
    const pinned = { pinnedTools: { pay: toolDigest(tool('right')) }, acceptChanges: true };
    const pins = open();
    pins.observe('x', tool('wrong'), pinned);
    expect(pins.get('x', 'pay')?.pinned).toEqual({});
    pins.accept('x', 'pay', tool('wrong'));
    pins.observe('x', tool('wrong'), pinned);
    expect(pins.get('x', 'pay')?.pinned).toEqual({});
    pins.observe('x', tool('right'), pinned);
    expect(pins.get('x', 'pay')?.pinned).toBeUndefined();
  });

  it('is written again when the store would not take it', async () => {
    const pins = open();
    failing = true;
    pins.observe('x', tool('a'), options);
    await pins.flush();
    expect(kept).toEqual([]);
    failing = false;
    await pins.flush();
    expect(kept).toHaveLength(1);
  });

  it('is not made for what has no name or is too large', () => {
    const pins = open();
    expect(pins.observe('x', { description: 'nameless' }, options)).toBe(false);
    expect(pins.observe('x', tool('x'.repeat(70_000)), options)).toBe(false);
    expect(pins.observe('x', null, options)).toBe(false);
  });
});
