// The definitions of MCP tools as they were first seen. All of them are read at start: servers have tens of tools.

import type { DatabaseSync } from 'node:sqlite';
import type { JsonObject } from '../domain/json.ts';
import type { ToolPinStore } from '../domain/tool-pin.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

export function createToolPinStore(db: DatabaseSync, writer: SqliteWriter): ToolPinStore {
  const select = db.prepare('SELECT * FROM tool_pin');
  const upsert = db.prepare(
    `INSERT INTO tool_pin (upstream, tool, pinned, now) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET pinned = excluded.pinned, now = excluded.now`,
  );
  return {
    all: () =>
      writer.read(() =>
        select.all().map(({ upstream, tool, pinned, now }) => ({
          upstream: String(upstream),
          tool: String(tool),
          pinned: JSON.parse(String(pinned)) as JsonObject,
          ...(now === null ? {} : { now: JSON.parse(String(now)) as JsonObject }),
        })),
      ),
    keep: (pins) =>
      writer.write(() => {
        for (const { upstream, tool, pinned, now } of pins)
          upsert.run(upstream, tool, JSON.stringify(pinned), now === undefined ? null : JSON.stringify(now));
      }),
  };
}
