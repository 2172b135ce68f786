// Where tasks are opened, named, changed and ended: what the agents' own API, the tool on MCP mounts and the way of every
// call have in common. Implemented by tasks/.

import type { Action } from './action.ts';
import type { Json } from './json.ts';
import type { Principal } from './principal.ts';
import type { Recognised } from './stages.ts';
import type { Task } from './task.ts';
import type { TaskToken } from './task-token.ts';

/** An MCP session of one agent: its mount and its id there. */
export interface McpSession {
  readonly mount: string;
  readonly id: string;
}

/** What comes with the description of a new task. */
export interface Opening {
  /** The session whose task it becomes. */
  readonly session?: McpSession | undefined;
  readonly token?: TaskToken | undefined;
}

export interface TaskDesk {
  /**
   * Opens the task that an agent describes, or finds the one that the token attests. Throws `bad_request`,
   * `task_token_invalid`, and what findTask and TaskStore.open throw.
   */
  open(caller: Principal, said: Json, opening?: Opening): Promise<Task>;
  /** Throws `bad_request`, and what TaskStore.revise throws. */
  revise(caller: Principal, id: string, said: Json): Promise<Task>;
  /** Throws `bad_request`, and what TaskStore.invite throws. Gives the guest's id. */
  invite(caller: Principal, id: string, said: Json): Promise<string>;
  /** Ends the task and all below it, and takes back what was minted for them. Throws as TaskStore.end. */
  end(caller: Principal, id: string): Promise<Task>;
  /**
   * The task of a call: the one of its task token, or that its field or its message names, else that of its session.
   * Where the mount says so, one is opened for the session. Undefined without a look-up where nothing can name one. Rejects as findTask,
   * and with `task_token_invalid`.
   */
  of(recognised: Recognised, action: Action): Promise<Task | undefined> | undefined;
}
