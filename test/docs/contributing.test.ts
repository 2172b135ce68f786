// CONTRIBUTING.md names what is there: scripts, folders and files. The example CI runs .ci/run and nothing else.

import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const text = readFileSync('CONTRIBUTING.md', 'utf8');
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };

it('names only npm scripts that exist', () => {
  const named = [...text.matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

it('names only files and folders that exist', () => {
  const paths = [...text.matchAll(/`((?:src|test|docs|config|\.ci|\.github)\/[^`\s]*|\.[\w-]+\.yml)`/g)].map(
    ([, path = '']) => path,
  );
  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !existsSync(path))).toEqual([]);
});

interface Job {
  readonly steps: readonly { readonly run?: string }[];
}

it('has a workflow for GitHub that runs .ci/run', () => {
  const workflow = parse(readFileSync('.github/workflows/ci.yml', 'utf8')) as { jobs: Record<string, Job> };
  const runs = Object.values(workflow.jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
  expect(runs).toEqual(['.ci/run']);
});

it('has a pipeline for GitLab that runs .ci/run', () => {
  const pipeline = parse(readFileSync('.gitlab-ci.yml', 'utf8')) as { test: { script: readonly string[] } };
  expect(pipeline.test.script).toEqual(['.ci/run']);
});
