// The JSON Schema of the configuration file, for editors: made from the zod schema, never written by hand. Run as a
// script it writes the file named by its argument. It describes shape and defaults, but no references between sections.

import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { configSchema } from './schema.ts';

/** JSON Schema (2020-12) of what may be written in the file. */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  const schema = z.toJSONSchema(configSchema({ folder: '/', env: {} }), { io: 'input', unrepresentable: 'any' });
  return { ...schema, title: 'Countersign configuration' };
}

/** The text of config/countersign.schema.json. */
export const configJsonSchemaText = (): string => `${JSON.stringify(configJsonSchema(), null, 2)}\n`;

if (argv[1] === fileURLToPath(import.meta.url)) {
  const target = argv[2];
  if (target === undefined) throw new Error('name the file to write');
  writeFileSync(target, configJsonSchemaText());
}
