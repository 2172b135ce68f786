// The pages in browsers that may call an MCP mount, by their origin. Requests without Origin are no page's.

import { GatewayError } from '../errors.ts';
import { type HeaderList, header } from './headers.ts';

export interface WebPages {
  /** Values of Origin, exactly as browsers send them. */
  readonly origins: readonly string[];
  /** Request fields, in lower case, that the mount reads besides what all of its kind read. */
  readonly fields: readonly string[];
}

/** MCP 2025-11-25, transports, "Security Warning": a server must look at Origin, against DNS rebinding. Throws `denied`. */
export function refuseOtherPages(headers: HeaderList, origins: readonly string[]): void {
  const origin = header(headers, 'origin');
  if (origin !== undefined && !origins.includes(origin)) throw new GatewayError('denied', 'Web pages of this origin may not call MCP tools here.');
}
