// Settings that several types of credential have in common.

import { z } from 'zod';
import type { Minted } from '../domain/credential.ts';
import { Secret } from '../domain/secret.ts';
import { fieldName } from '../settings/field-name.ts';
import { type ConfigContext, pemFile } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';

export const issuerTimeout = () =>
  duration({ least: '100ms', most: '1m' }).prefault('5s').describe('Bound on each request to the issuer; default 5s');

export const issuerAuthority = (context: ConfigContext) =>
  pemFile(context)
    .exactOptional()
    .describe('PEM file of the authorities to trust for this issuer instead of the system’s');

/** Text around a secret: printable ASCII, so that it cannot end a header line. */
export const secretFormat = () =>
  z.string().regex(/^[\x20-\x7e]*\{secret\}[\x20-\x7e]*$/, {
    error: 'The format holds {secret}, and only printable ASCII around it.',
  });

/** The field that a token is put into. */
export const tokenField = () =>
  fieldName().default('authorization').describe('Header field; default authorization, with Bearer');

export const tokenAudience = () =>
  z.string().min(1).describe('Its aud; several are separated by spaces, and a rule’s credential.audience chooses');

/** A token in the field that `tokenField` names: with the scheme Bearer in Authorization, bare in every other field. */
export function tokenInjection(field: string, text: string): Pick<Minted, 'injection' | 'secrets'> {
  const value = new Secret(field === 'authorization' ? `Bearer ${text}` : text);
  return { injection: { in: 'header', name: field, value }, secrets: [new Secret(text)] };
}
