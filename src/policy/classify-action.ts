// What an action is by the configuration. Where nothing says more, its operation follows from its method.

import type { Action } from '../domain/action.ts';
import type { Classifiable, Classification, Operation } from '../domain/classification.ts';

export function classifyAction({ action }: Classifiable): Classification {
  return BY_METHOD[operationOf(action)];
}

const plain = <Name extends Operation>(operation: Name): Classification => ({ operation, resources: [], owners: [] });

const BY_METHOD = { read: plain('read'), write: plain('write'), delete: plain('delete') };

function operationOf({ protocol, method, mcp, tool }: Action): 'read' | 'write' | 'delete' {
  if (protocol === 'mcp') {
    if (tool === undefined) return 'read';
    // A server's own words can make a tool look more dangerous, never less.
    return mcp?.hints?.destructiveHint === true ? 'delete' : 'write';
  }
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return 'read';
  return method === 'DELETE' ? 'delete' : 'write';
}
