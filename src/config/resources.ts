// The sections about what things are, before any rule decides: labels, and what the upstreams' resources hold. Only the
// shape is checked here; policy/ checks conditions and paths.

import { z } from 'zod';
import { OPERATIONS } from '../domain/classification.ts';
import { requireTask } from '../settings/require-task.ts';
import { entryId, match, people } from './rules.ts';

/** A name that conditions compare: a label, an environment, a mark. */
export const plainName = () =>
  z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, {
    error: 'Begin with a letter, and use up to 64 letters, digits, hyphens and underscores.',
  });

export const sensitivity = () =>
  z
    .array(plainName())
    .min(1)
    .max(32)
    .refine((labels) => new Set(labels).size === labels.length, 'Write each label once.')
    .default(['public', 'internal', 'confidential', 'restricted']);

export const destinations = () =>
  z
    .record(
      plainName().refine((name) => name !== 'external', 'Choose another name: `external` is what no pattern matches.'),
      z.array(z.string().min(1).max(500)).min(1),
    )
    .default({});

/** RFC 6901. */
const jsonPointer = () =>
  z.string().regex(/^(?:\/(?:[^~/]|~[01])*)+$/, { error: 'Write a JSON Pointer that begins with `/`, such as `/id`.' });

export const resource = () =>
  z.strictObject({
    id: entryId(),
    match: match().describe('What calls touch it, matched as hold rules match; every key given must agree'),
    when: z
      .string()
      .min(1)
      .exactOptional()
      .describe('CEL condition over agent, request, tool and args; one that fails to evaluate counts as true'),
    data: plainName().exactOptional().describe('How sensitive it is: a label of `sensitivity`; the highest wins'),
    reversible: z.boolean().exactOptional().describe('Whether what is done to it can be undone; false wins'),
    environment: plainName()
      .exactOptional()
      .describe('Where it is: sandbox, production or another name; sandbox only if all that match say so'),
    operation: z
      .enum(OPERATIONS)
      .exactOptional()
      .describe('The kind of operation; the last in this list wins; default: by the method'),
    owners: people().exactOptional().describe('Who answers for it: group:<name> or user:<subject>'),
    taints: z
      .array(plainName())
      .min(1)
      .exactOptional()
      .describe('Names under `taints`: the marks that its answers leave on the caller'),
    sendsTo: z
      .array(z.string().min(1))
      .min(1)
      .max(16)
      .exactOptional()
      .describe('CEL expressions over the same: texts, or lists of texts, that say where a call sends to'),
    result: z
      .array(jsonPointer())
      .min(1)
      .max(16)
      .exactOptional()
      .describe('JSON Pointers to members of its answers that are recorded'),
    carries: z
      .boolean()
      .exactOptional()
      .describe('Whether what a marked caller writes there marks those who read it; default false'),
    requireTask: requireTask('calls that touch it'),
  });
