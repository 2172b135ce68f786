// Ways in which frameworks take another method than the one of the request line: a parameter of the query, of a form or
// of a JSON body, or a field. Rack and Rails, Laravel and Symfony, Express's method-override, Spring's
// HiddenHttpMethodFilter: `_method`; ASP.NET Core, Google's APIs and others: `X-HTTP-Method-Override` and its like;
// Salesforce: `_HttpMethod`.

import { foldKey } from './keys.ts';
import { parameterName } from './parameters.ts';

const PARAMETER =
  /^(?:[_$]+(?:http[-_]?)?(?:method|verb)(?:[-_]?override)?_?|x[-_](?:http[-_])?(?:method|verb)(?:[-_]override)?|x[-_]override[-_](?:http[-_])?method|(?:http[-_])?method[-_]override)$/;
const FIELD =
  /^(?:x-)?(?:(?:http-)?(?:method|verb)-override|override-(?:http-)?(?:method|verb))$|^x-(?:http-)?(?:method|verb)$|^x-(?:original|tunneled|real|request|actual)-(?:http-)?(?:method|verb)$/;

/** What every such name holds in ASCII; other letters have to be folded first. A body may hold very many names. */
const MAY_OVERRIDE = /method|verb|[^\x01-\x7f]/i;

/** Whether some framework takes the value of this parameter for the method. `name` is decoded. */
export const overridesMethodByParameter = (name: string): boolean =>
  MAY_OVERRIDE.test(name) && PARAMETER.test(parameterName(name));

/** The same for a member at the top of a JSON body. */
export const overridesMethodByKey = (key: string): boolean => MAY_OVERRIDE.test(key) && PARAMETER.test(foldKey(key));

/** The same for a header field, by its lower-case name. */
export const overridesMethodByField = (name: string): boolean => FIELD.test(name);
