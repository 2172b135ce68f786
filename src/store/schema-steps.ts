// The steps of the SQLite store's schema: each brings a file from one version to the next. migrations.ts runs them. Never
// edit a released step: add one.

/**
 * Triggers that count the bytes of a column for the agent to whom the row belongs. They run in the transaction of every
 * write, so no writer can forget to count.
 */
function counted(table: string, column: string, agentOf: (row: 'NEW' | 'OLD') => string): string {
  const [added, removed] = [agentOf('NEW'), agentOf('OLD')];
  return `
  CREATE TRIGGER ${table}_stored AFTER INSERT ON ${table} BEGIN
    INSERT INTO stored VALUES (${added}, octet_length(NEW.${column}))
      ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER ${table}_changed AFTER UPDATE OF ${column} ON ${table} BEGIN
    UPDATE stored SET bytes = bytes + octet_length(NEW.${column}) - octet_length(OLD.${column})
      WHERE principal_id = ${added};
  END;
  CREATE TRIGGER ${table}_deleted AFTER DELETE ON ${table} BEGIN
    UPDATE stored SET bytes = bytes - octet_length(OLD.${column}) WHERE principal_id = ${removed};
    DELETE FROM stored WHERE principal_id = ${removed} AND bytes <= 0;
  END;`;
}

const dropCounted = (table: string): string =>
  ['stored', 'changed', 'deleted'].map((event) => `DROP TRIGGER ${table}_${event};`).join(' ');

/** Step n brings a file from version n to n + 1. */
export const STEPS: readonly string[] = [
  `
  CREATE TABLE hold (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    task_id TEXT,
    request_digest TEXT NOT NULL,
    idempotency_key TEXT,
    deadline INTEGER NOT NULL,
    use_by INTEGER,
    claimed_by TEXT,
    record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX hold_request ON hold (principal_id, request_digest);
  CREATE INDEX hold_key ON hold (principal_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
  CREATE INDEX hold_state ON hold (state, seq);
  CREATE INDEX hold_principal ON hold (principal_id, state, deadline);
  CREATE INDEX hold_task ON hold (task_id) WHERE task_id IS NOT NULL;
  CREATE INDEX hold_deadline ON hold (deadline) WHERE state = 'PENDING';
  CREATE INDEX hold_use_by ON hold (use_by) WHERE state = 'APPROVED';

  CREATE TABLE held_action (
    hold_id TEXT PRIMARY KEY REFERENCES hold (id),
    record TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE task (
    id TEXT PRIMARY KEY,
    principal_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    words TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE task_call (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL REFERENCES task (id),
    record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX task_call_task ON task_call (task_id, seq);

  CREATE TABLE credential (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    sealed TEXT NOT NULL,
    hold_id TEXT,
    task_id TEXT,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER,
    attempts INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // For the reviewers' console: notices, suspensions, passed calls and votes. Holds of earlier versions have no
  // likeness and no escalation.
  `
  ALTER TABLE hold ADD COLUMN escalate_at INTEGER;
  ALTER TABLE hold ADD COLUMN likeness TEXT;
  CREATE INDEX hold_escalate ON hold (escalate_at) WHERE state = 'PENDING' AND escalate_at IS NOT NULL;
  CREATE INDEX hold_likeness ON hold (likeness, seq) WHERE likeness IS NOT NULL;

  CREATE TABLE notification (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    notice TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    ended_at INTEGER,
    last_error TEXT
  ) STRICT;
  CREATE INDEX notification_due ON notification (due_at) WHERE state = 'PENDING';
  CREATE INDEX notification_state ON notification (state, seq);
  CREATE INDEX notification_delivered ON notification (ended_at) WHERE state = 'DELIVERED';

  CREATE TABLE suspension (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    lifted_at INTEGER,
    lifted_by TEXT
  ) STRICT;

  CREATE TABLE passed_call (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    record TEXT NOT NULL
  ) STRICT;

  CREATE TABLE vote (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    hold_id TEXT NOT NULL REFERENCES hold (id),
    reviewer_id TEXT NOT NULL,
    decision TEXT NOT NULL,
    at INTEGER NOT NULL,
    seconds REAL NOT NULL
  ) STRICT;
  CREATE INDEX vote_reviewer ON vote (reviewer_id, at);
  `,
  // The definitions of MCP tools as they were first seen.
  `
  CREATE TABLE tool_pin (
    upstream TEXT NOT NULL,
    tool TEXT NOT NULL,
    pinned TEXT NOT NULL,
    now TEXT,
    PRIMARY KEY (upstream, tool)
  ) STRICT, WITHOUT ROWID;
  `,
  // The reviewers' passkeys.
  `
  CREATE TABLE passkey (
    id TEXT PRIMARY KEY,
    reviewer_id TEXT NOT NULL,
    public_key TEXT NOT NULL,
    counter INTEGER NOT NULL,
    transports TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX passkey_reviewer ON passkey (reviewer_id);
  `,
  // What may be used once: proofs, states, challenges, ended sessions.
  `
  CREATE TABLE used (
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX used_until ON used (kind, until);
  `,
  // What can be large moves out of a hold's record into a table of its own, with the body stored once. The body of a
  // hold that ended unsent is dropped.
  `
  UPDATE hold SET record = json_set(record,
    '$.action', (SELECT json_remove(record, '$.args', '$.bodyText', '$.toolChange', '$.toolWords')
      FROM held_action WHERE hold_id = hold.id));
  CREATE TABLE held_content (
    seq INTEGER PRIMARY KEY,
    hold_id TEXT NOT NULL UNIQUE REFERENCES hold (id),
    record TEXT NOT NULL
  ) STRICT;
  INSERT INTO held_content (hold_id, record)
    SELECT hold.id, json_patch(
      json_patch(
        CASE WHEN json_type(action.record, '$.args') IS NULL THEN '{}'
             WHEN json_extract(action.record, '$.tool') IS NOT NULL THEN '{"argsAt":["params","arguments"]}'
             WHEN json_extract(action.record, '$.protocol') = 'mcp' THEN '{"argsAt":["params"]}'
             ELSE '{"argsAt":[]}' END,
        json_object(
          'bodyText', action.record ->> '$.bodyText',
          'toolChange', action.record -> '$.toolChange',
          'toolWords', action.record -> '$.toolWords')),
      json_object('task', CASE WHEN json_type(hold.record, '$.task') IS NULL THEN NULL
        ELSE json_remove(json_extract(hold.record, '$.task'), '$.id', '$.revision') END))
    FROM hold JOIN held_action AS action ON action.hold_id = hold.id;
  UPDATE held_content SET record = json_remove(record, '$.bodyText', '$.argsAt')
    WHERE hold_id IN (SELECT id FROM hold WHERE state IN ('DENIED', 'EXPIRED', 'CANCELLED', 'REVOKED', 'INVALIDATED'));
  UPDATE hold SET record = json_set(record, '$.task', json_object(
      'id', record ->> '$.task.id',
      'revision', record -> '$.task.revision',
      'heading', substr(record ->> '$.task.objective', 1, 200)))
    WHERE json_type(record, '$.task') IS NOT NULL;
  DROP TABLE held_action;
  `,
  // The bytes that each agent has here, counted by triggers. Times at which things ended, for limits and retention. A
  // rank of notices: those of holds come first.
  `
  ALTER TABLE hold ADD COLUMN created_at INTEGER;
  ALTER TABLE hold ADD COLUMN ended_at INTEGER;
  UPDATE hold SET created_at = record -> '$.createdAt', ended_at = record -> '$.endedAt';
  CREATE INDEX hold_created ON hold (principal_id, created_at);
  CREATE INDEX hold_ended ON hold (ended_at) WHERE ended_at IS NOT NULL;
  ALTER TABLE held_content ADD COLUMN ended_at INTEGER;
  UPDATE held_content SET ended_at = (SELECT ended_at FROM hold WHERE id = hold_id);
  CREATE INDEX held_content_ended ON held_content (ended_at) WHERE ended_at IS NOT NULL;
  CREATE INDEX vote_hold ON vote (hold_id);

  ALTER TABLE task ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
  UPDATE task SET used_at = coalesce(
    ended_at, (SELECT max(record ->> '$.at') FROM task_call WHERE task_id = task.id), created_at);
  CREATE INDEX task_used ON task (used_at);
  CREATE INDEX task_open ON task (principal_id) WHERE ended_at IS NULL;

  CREATE TABLE stored (
    principal_id TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO stored SELECT principal_id, sum(bytes) FROM (
    SELECT principal_id, octet_length(record) AS bytes FROM hold
    UNION ALL SELECT principal_id, octet_length(held_content.record) FROM held_content JOIN hold ON hold.id = hold_id
    UNION ALL SELECT principal_id, octet_length(words) FROM task
    UNION ALL SELECT principal_id, octet_length(record) FROM task_call JOIN task ON task.id = task_id
  ) GROUP BY principal_id;
  ${counted('hold', 'record', (row) => `${row}.principal_id`)}
  ${counted('held_content', 'record', (row) => `(SELECT principal_id FROM hold WHERE id = ${row}.hold_id)`)}
  ${counted('task', 'words', (row) => `${row}.principal_id`)}
  ${counted('task_call', 'record', (row) => `(SELECT principal_id FROM task WHERE id = ${row}.task_id)`)}

  ALTER TABLE notification ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
  UPDATE notification SET rank = 1 WHERE notice ->> '$.kind' = 'call.passed';
  DROP INDEX notification_due;
  CREATE INDEX notification_due ON notification (rank, due_at) WHERE state = 'PENDING';
  CREATE INDEX notification_rank ON notification (channel, seq) WHERE rank > 0;
  CREATE INDEX notification_ended ON notification (ended_at) WHERE state = 'DEAD';
  ALTER TABLE passed_call ADD COLUMN principal_id TEXT;
  UPDATE passed_call SET principal_id = record ->> '$.principalId';
  CREATE INDEX passed_call_agent ON passed_call (principal_id, seq);
  `,
  // The latest time that the store has seen. The store's time never goes back behind it.
  `
  CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
  ) STRICT;
  INSERT INTO clock SELECT 1, coalesce(max(at), 0) FROM (
    SELECT max(created_at, coalesce(ended_at, 0)) AS at FROM hold
    UNION ALL SELECT used_at FROM task
    UNION ALL SELECT at FROM vote);
  `,
  // Trees of tasks, and who was invited to a task. The tasks of earlier versions are roots that their agents declared.
  // Calls belong to roots, and retention goes by roots.
  `
  ALTER TABLE task ADD COLUMN root TEXT NOT NULL DEFAULT '';
  ALTER TABLE task ADD COLUMN ancestors TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE task ADD COLUMN provenance TEXT NOT NULL DEFAULT 'declared';
  UPDATE task SET root = id;
  ALTER TABLE task ADD COLUMN ends_by INTEGER;
  ALTER TABLE task ADD COLUMN txn TEXT;
  ALTER TABLE task ADD COLUMN attestation TEXT;
  CREATE UNIQUE INDEX task_txn ON task (txn) WHERE txn IS NOT NULL;
  CREATE INDEX task_ends_by ON task (ends_by) WHERE ended_at IS NULL AND ends_by IS NOT NULL;
  CREATE INDEX task_root ON task (root);
  CREATE TABLE task_key (
    task_id TEXT PRIMARY KEY REFERENCES task (id),
    salt TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE task_prompt (
    task_id TEXT PRIMARY KEY REFERENCES task (id),
    sealed TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  ${counted('task_prompt', 'sealed', (row) => `(SELECT principal_id FROM task WHERE id = ${row}.task_id)`)}
  CREATE TABLE task_use (
    task_id TEXT PRIMARY KEY REFERENCES task (id),
    calls INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  DROP INDEX task_used;
  CREATE INDEX task_used ON task (used_at) WHERE id = root;

  CREATE TABLE task_participant (
    task_id TEXT NOT NULL REFERENCES task (id),
    principal_id TEXT NOT NULL,
    PRIMARY KEY (task_id, principal_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE task_session (
    session TEXT PRIMARY KEY,
    task_id TEXT NOT NULL REFERENCES task (id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX task_session_task ON task_session (task_id);
  ${counted('task_participant', 'principal_id', (row) => `(SELECT principal_id FROM task WHERE id = ${row}.task_id)`)}
  `,
  // Refused calls that count towards a limit. A rank for each kind of notice that agents can cause in number.
  `
  CREATE TABLE violation (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    counter TEXT NOT NULL,
    agent_key TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX violation_counter ON violation (counter, agent_key, seq);
  CREATE INDEX violation_until ON violation (until);
  UPDATE notification SET rank = 3 WHERE rank = 1;
  DROP INDEX notification_rank;
  CREATE INDEX notification_digest ON notification (channel, rank, seq) WHERE rank > 0;
  `,
  // Taint: who has seen which kind of data, until when.
  `
  CREATE TABLE mark (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    taint TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (scope, key, taint)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX mark_until ON mark (until);
  `,
  // Meters: counts in buckets of time, values that count once, and what open holds reserve.
  `
  CREATE TABLE meter_count (
    place TEXT NOT NULL,
    until INTEGER NOT NULL,
    units TEXT NOT NULL,
    unknown INTEGER NOT NULL,
    PRIMARY KEY (place, until)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX meter_count_until ON meter_count (until);
  CREATE TABLE meter_value (
    place TEXT NOT NULL,
    digest TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (place, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX meter_value_until ON meter_value (until);
  CREATE TABLE meter_reservation (
    hold_id TEXT NOT NULL REFERENCES hold (id),
    place TEXT NOT NULL,
    window_ms INTEGER NOT NULL,
    adds TEXT NOT NULL,
    PRIMARY KEY (hold_id, place)
  ) STRICT, WITHOUT ROWID;
  `,
  // Limits count the agent by its key: of earlier versions, the id. The ids under which agents were seen.
  `
  ALTER TABLE hold ADD COLUMN agent_key TEXT NOT NULL DEFAULT '';
  UPDATE hold SET agent_key = principal_id;
  DROP INDEX hold_principal;
  DROP INDEX hold_created;
  CREATE INDEX hold_agent ON hold (agent_key, state, deadline);
  CREATE INDEX hold_created ON hold (agent_key, created_at);
  ${dropCounted('hold')}
  ${dropCounted('held_content')}
  ${counted('hold', 'record', (row) => `${row}.agent_key`)}
  ${counted('held_content', 'record', (row) => `(SELECT agent_key FROM hold WHERE id = ${row}.hold_id)`)}

  CREATE TABLE agent_id (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    agent_key TEXT NOT NULL,
    new_on INTEGER NOT NULL,
    seen_on INTEGER NOT NULL,
    is_new_agent INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX agent_id_new ON agent_id (issuer, new_on, is_new_agent);
  CREATE INDEX agent_id_key ON agent_id (agent_key);
  CREATE INDEX agent_id_seen ON agent_id (seen_on);
  `,
  // What agents have done: operations, and operations with a target.
  `
  CREATE TABLE novelty (
    agent_key TEXT NOT NULL,
    operation TEXT NOT NULL,
    target TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (agent_key, operation, target)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX novelty_until ON novelty (until);
  `,
];
