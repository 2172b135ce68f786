// Preloaded into a contender (`--import`): from one SIGUSR2 to the next it samples what is allocated, also what is
// collected again, and prints the sum. V8's sampler takes each byte with the same chance, so the sum is an estimate.

import { type HeapProfiler, Session } from 'node:inspector/promises';

const session = new Session();
session.connect();
let sampling = false;

const sumOf = ({ selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number =>
  children.reduce((sum, child) => sum + sumOf(child), selfSize);

process.on('SIGUSR2', async () => {
  if (sampling) {
    const { profile } = await session.post('HeapProfiler.stopSampling');
    process.stdout.write(`allocated ${sumOf(profile.head)}\n`);
  } else {
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: 16_384,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    process.stdout.write('sampling\n');
  }
  sampling = !sampling;
});
