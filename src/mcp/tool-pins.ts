// The definitions of tools as they were first seen (or as the configuration pins them by digest), so that a change of a
// tool's text or schema is noticed before the tool is used again. Kept in memory and written to the store. Trusts
// nothing in a definition: it is compared, shown as the server's words, and used only to be stricter.

import type { ToolWords } from '../domain/action.ts';
import { canonicalDigest } from '../domain/canonical.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import type { ToolPin, ToolPinStore } from '../domain/tool-pin.ts';
import { readToolWords } from './tool-words.ts';

export interface PinningOptions {
  /** Digests by tool name, from the configuration. */
  readonly pinnedTools: Readonly<Record<string, string>>;
  /** Changed definitions become the pinned ones at once. */
  readonly acceptChanges: boolean;
}

/** What is known of one tool. */
interface KnownTool {
  /** The definition that the server gives now. */
  readonly definition: JsonObject;
  readonly words: ToolWords;
  readonly hints?: JsonObject;
  /** The pinned definition, where the server's differs; empty when only the digest is known. */
  readonly pinned?: JsonObject;
}

export interface PinEvent {
  readonly event: 'tool_pinned' | 'tool_changed' | 'tool_restored' | 'tool_accepted';
  readonly upstream: string;
  readonly tool: string;
  readonly digest: string;
}

export interface ToolPins {
  get(upstream: string, tool: string): KnownTool | undefined;
  /**
   * A definition that the server has just given. False when it cannot be kept: it has no name or no digest, is too
   * large, or there are too many.
   */
  observe(upstream: string, definition: Json, options: PinningOptions): boolean;
  /** Pins the approved definition, unless the server has changed it again since then. */
  accept(upstream: string, tool: string, definition: JsonObject): void;
  /** Resolves when every observed definition is in the store. */
  flush(): Promise<void>;
}

const LARGEST_DEFINITION = 64 * 1024;
const MOST_TOOLS = 2_000;

/** SHA-256 over `countersign/tool-definition/v1` and the definition; what `pinnedTools` lists. */
export const toolDigest = (definition: JsonObject): string =>
  canonicalDigest('countersign/tool-definition/v1', definition);

export function createToolPins(store: ToolPinStore, tell: (event: PinEvent) => void): ToolPins {
  const pins = new Map<string, Map<string, { pin: ToolPin; known: KnownTool; digest: string }>>();
  const unsaved = new Map<string, ToolPin>();
  let saving: Promise<void> = Promise.resolve();

  function put(pin: ToolPin): void {
    const definition = pin.now ?? pin.pinned;
    const annotations = definition.annotations;
    const known: KnownTool = {
      definition,
      words: readToolWords(definition),
      ...(isJsonObject(annotations) && { hints: annotations }),
      ...(pin.now !== undefined && { pinned: pin.pinned }),
    };
    const ofUpstream = pins.get(pin.upstream) ?? new Map();
    pins.set(pin.upstream, ofUpstream.set(pin.tool, { pin, known, digest: toolDigest(definition) }));
  }

  function keep(pin: ToolPin, event: PinEvent['event']): void {
    put(pin);
    unsaved.set(JSON.stringify([pin.upstream, pin.tool]), pin);
    tell({ event, upstream: pin.upstream, tool: pin.tool, digest: toolDigest(pin.now ?? pin.pinned) });
  }

  for (const pin of store.all()) put(pin);

  return {
    get: (upstream, tool) => pins.get(upstream)?.get(tool)?.known,
    observe(upstream, given, { pinnedTools, acceptChanges }) {
      if (!isJsonObject(given) || typeof given.name !== 'string' || given.name === '') return false;
      const tool = given.name;
      const definition = essence(given);
      const before = pins.get(upstream)?.get(tool);
      if (before === undefined && (pins.get(upstream)?.size ?? 0) >= MOST_TOOLS) return false;
      if (JSON.stringify(definition).length > LARGEST_DEFINITION) return false;
      const digest = digestOf(definition);
      if (digest === undefined) return false;
      const wanted = Object.hasOwn(pinnedTools, tool) ? pinnedTools[tool] : undefined;
      const pinned = before?.pin.pinned;
      const matches = wanted === undefined ? pinned === undefined || digest === toolDigest(pinned) : digest === wanted;
      if (matches || (acceptChanges && wanted === undefined)) {
        if (before === undefined) keep({ upstream, tool, pinned: definition }, 'tool_pinned');
        else if (before.pin.now !== undefined || before.digest !== digest) {
          keep({ upstream, tool, pinned: definition }, matches ? 'tool_restored' : 'tool_accepted');
        }
      } else if (before?.digest !== digest || before.pin.now === undefined) {
        // A configured digest replaces every definition that was seen before.
        const right =
          wanted === undefined || (pinned !== undefined && toolDigest(pinned) === wanted) ? pinned : undefined;
        keep({ upstream, tool, pinned: right ?? {}, now: definition }, 'tool_changed');
      }
      return true;
    },
    accept(upstream, tool, definition) {
      const digest = toolDigest(definition);
      if (pins.get(upstream)?.get(tool)?.digest === digest)
        keep({ upstream, tool, pinned: definition }, 'tool_accepted');
    },
    flush() {
      if (unsaved.size > 0) {
        const batch = [...unsaved.values()];
        unsaved.clear();
        saving = saving
          .then(() => store.keep(batch))
          .catch(() => {
            for (const pin of batch) {
              const key = JSON.stringify([pin.upstream, pin.tool]);
              if (!unsaved.has(key)) unsaved.set(key, pin);
            }
          });
      }
      return saving;
    },
  };
}

/**
 * Undefined for a definition without a digest, which could change unnoticed: a number out of range (`1e400`), half a
 * surrogate pair.
 */
function digestOf(definition: JsonObject): string | undefined {
  try {
    return toolDigest(definition);
  } catch {
    return undefined;
  }
}

/** The members that say what the tool is. Icons and `_meta` may differ from one listing to the next. */
function essence(definition: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(definition).filter(([member]) => member !== '_meta' && member !== 'icons'));
}
