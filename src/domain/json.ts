// JSON as a type. Values come from the strict parser in actions/json.ts or from verified tokens.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}
