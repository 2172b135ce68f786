// receive: which mount a call goes to, and what is refused before anybody is identified.

import { describe, expect } from 'vitest';
import { principalOf } from '../support/holds/values.ts';
import { it, LOOK, upgradeOf } from './workbench.ts';

describe('a call', () => {
  it('goes to the mount that its path names', ({ work }) => {
    const opened = work.call();
    const received = work.received(opened);
    expect([received.mount.name, received.request.path]).toEqual(['ledger', '/accounts']);
    expect(received.arrived).toBe(received.request);
    expect(opened.call.reached).toBe(received);
  });

  it('is refused for a path that names none, and what arrived is known all the same', ({ work }) => {
    const opened = work.call({ mount: 'elsewhere' });
    expect(() => work.received(opened)).toThrow(expect.objectContaining({ code: 'not_found' }));
    expect(opened.call.reached.arrived?.mount).toBe('elsewhere');
    expect(opened.call.reached.mount).toBeUndefined();
  });

  it('that the gateway makes for another goes to the mount that the gateway names', ({ work }) => {
    const subcall = { mount: 'ledger', identified: { principal: principalOf() } };
    expect(work.received(work.call({ mount: 'elsewhere', subcall })).mount.name).toBe('ledger');
  });

  it.for([
    [false, 'upgrade_refused'],
    [true, undefined],
  ] as const)('to upgrade, where the upstream takes upgrades: %s', ([webSocket, code], { work }) => {
    work.mount = { webSocket };
    const receive = () => work.received(work.call({ ...LOOK, upgrade: upgradeOf() }));
    if (code === undefined) expect(receive().mount).toMatchObject({ webSocket: true });
    else expect(receive).toThrow(expect.objectContaining({ code }));
  });
});
