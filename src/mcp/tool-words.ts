// The texts of a tool's definition for the hold page: titles and descriptions of the tool and its arguments. They are a
// server's words, cut where they are long; reviewers see them apart from what the gateway knows.

import type { ToolWords } from '../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';

type Words = Omit<ToolWords, 'arguments'>;

const LONGEST = 2_000;
const MOST_ARGUMENTS = 100;

export function readToolWords(definition: JsonObject): ToolWords {
  const schema = definition.inputSchema;
  const properties =
    isJsonObject(schema) && isJsonObject(schema.properties)
      ? Object.entries(schema.properties).slice(0, MOST_ARGUMENTS)
      : [];
  return {
    ...wordsOf(definition),
    arguments: Object.fromEntries(properties.map(([name, property]) => [name, wordsOf(property)])),
  };
}

function wordsOf(value: Json): Words {
  if (!isJsonObject(value)) return {};
  const { title, description } = value;
  return {
    ...(typeof title === 'string' && { title: cut(title) }),
    ...(typeof description === 'string' && { description: cut(description) }),
  };
}

const cut = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)} […]` : text);
