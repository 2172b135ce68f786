// What Express 5 reads with its default settings, and the method as method-override takes it: from the query, from
// fields, and from the body, as its documentation shows for each.

import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';
import methodOverride from 'method-override';

const app = express();
// JavaScript reads 1e400 as infinity, and JSON has no word for it.
app.set('json replacer', (_key: string, value: unknown) =>
  value === Infinity ? 1e308 : value === -Infinity ? -1e308 : value,
);
app.use(express.json());
app.use(express.urlencoded({ extended: true }));
for (const field of ['X-HTTP-Method', 'X-HTTP-Method-Override', 'X-Method-Override']) app.use(methodOverride(field));
app.use(methodOverride('_method'));
app.use(
  methodOverride((request: Request) =>
    typeof request.body === 'object' && request.body !== null ? request.body._method : undefined,
  ),
);

const read = (route: string) => (request: Request, response: Response) => {
  const { amount = 0, skip = false } = request.body ?? {};
  response.set('X-Read-By', 'express').json({
    method: request.method,
    route,
    amount,
    skip,
    force: request.query.force ?? '',
    failed: false,
  });
};
app.all(['/admin', '/admin/*rest'], read('admin'));
app.use(read('open'));

const server = app.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
