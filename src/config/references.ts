// What must agree between sections: names that are used and defined, rules and what they act on. Each file of references/
// checks the references that one section makes.

import type { Fault } from '../settings/faults.ts';
import { checkChannels } from './references/channels.ts';
import { checkCredentialUse } from './references/credential-use.ts';
import { checkCredentials } from './references/credentials.ts';
import { checkExemptions } from './references/exemptions.ts';
import { checkIssuers } from './references/issuers.ts';
import { checkPeople } from './references/people.ts';
import { checkResources } from './references/resources.ts';
import { checkReviewers } from './references/reviewers.ts';
import { checkRules } from './references/rules.ts';
import { checkSandboxes } from './references/sandboxes.ts';
import type { Sections } from './references/sections.ts';
import { checkTasks } from './references/tasks.ts';
import { checkTiers } from './references/tiers.ts';
import { checkUpstreams } from './references/upstreams.ts';
import { checkViolations } from './references/violations.ts';
import { checkWebSockets } from './references/websockets.ts';

const CHECKS = [
  checkUpstreams,
  checkCredentials,
  checkTasks,
  checkTiers,
  checkResources,
  checkRules,
  checkIssuers,
  checkReviewers,
  checkPeople,
  checkChannels,
  checkViolations,
  checkSandboxes,
  checkCredentialUse,
  checkWebSockets,
  checkExemptions,
];

export const checkReferences = (sections: Sections): readonly Fault[] =>
  CHECKS.flatMap((check) => [...check(sections)]);
