// The console's own style sheet, scripts and icon: read once, named by their content, so that browsers may keep them
// for good.

import { readFileSync } from 'node:fs';
import { sha256 } from '../../domain/canonical.ts';

const TYPES = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8', svg: 'image/svg+xml' } as const;
const NAMES = [
  'console.css',
  'controls.css',
  'inbox.css',
  'hold.css',
  'task.css',
  'console.js',
  'inbox.js',
  'passkey.js',
  'icon.svg',
] as const;

export interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly version: string;
}

const assets: ReadonlyMap<string, Asset> = new Map(
  NAMES.map((name) => {
    const bytes = new Uint8Array(readFileSync(new URL(`../assets/${name}`, import.meta.url)));
    const type = TYPES[name.slice(name.lastIndexOf('.') + 1) as keyof typeof TYPES];
    return [name, { type, bytes, version: sha256(bytes).slice(0, 12) }];
  }),
);

export const findAsset = (name: string): Asset | undefined => assets.get(name);

export const assetUrl = (name: string): string => `/assets/${name}?v=${assets.get(name)?.version ?? ''}`;
