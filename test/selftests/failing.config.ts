// Runs the one test that fails on purpose, with what vitest.config.ts says of every test.

import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

const { projects: _, ...test } = base.test ?? {};
export default defineConfig({ test: { ...test, include: ['test/selftests/failing.ts'] } });
