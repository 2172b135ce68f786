// Where a call leads: its targets, and what its texts mention. Found when a condition first asks, or when people are to see
// it; then kept for that call. Trusts the parsed action. What cannot be read is external.

import type { Classifiable, Destination, Destinations } from '../../domain/classification.ts';
import { readHost } from '../../domain/normal-forms/hosts.ts';
import { indexMatches, type MatchIndex } from '../matcher.ts';
import type { PolicyOptions, PolicyUpstream, ResourceOptions } from '../rules.ts';
import { compileSelector, SelectedCall, type Selector, select } from '../selector.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { findHosts, type Place, Places } from './hosts-in-texts.ts';
import { findMentions } from './mentions.ts';
import { namesOnlyPlaces } from './recipients.ts';
import { compileSending, type Sending } from './sending.ts';
import { EXTERNAL, type TrustTable } from './trust-table.ts';

/** Destinations of one call that are told apart. With more, nothing can rest on them. */
const MOST_DESTINATIONS = 200;
const LONGEST_VALUE = 256;

type SendingSelector = Selector<ResourceOptions> & { readonly sendings: readonly Sending[] };

export class DestinationFinder {
  readonly #vocabulary: Vocabulary;
  readonly #upstreams: ReadonlyMap<string, PolicyUpstream>;
  readonly #sending: MatchIndex<SendingSelector>;
  readonly #known = new WeakMap<
    Classifiable['action'],
    { readonly call: Classifiable; readonly found: Destinations }
  >();

  constructor({ resources, upstreams }: Pick<PolicyOptions, 'resources' | 'upstreams'>, vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#upstreams = new Map(Object.entries(upstreams));
    const sending = resources.flatMap((resource): SendingSelector[] =>
      resource.sendsTo === undefined
        ? []
        : [{ ...compileSelector(resource), sendings: resource.sendsTo.map(compileSending) }],
    );
    this.#sending = indexMatches(sending, Object.keys(upstreams));
  }

  find(call: Classifiable): Destinations {
    const known = this.known(call);
    if (known !== undefined) return known;
    const { principal, headers, action } = call;
    const found = this.#look(call);
    this.#known.set(action, { call: { principal, headers, action }, found });
    return found;
  }

  /** What was found before, for the same call. */
  known({ principal, headers, action }: Classifiable): Destinations | undefined {
    const known = this.#known.get(action);
    return known?.call.principal === principal && known.call.headers === headers ? known.found : undefined;
  }

  #look(call: Classifiable): Destinations {
    const { action } = call;
    const { trust } = this.#vocabulary;
    const sent = this.#sentTo(call);
    const targets = distinct([...(sent?.targets ?? []), ...(sent?.sure ? [] : this.#upstream(call))], trust);
    const aims = new Set(targets.map(keyOf));
    const places = findMentions(action, sent?.texts ?? new Set());
    const mentioned = [...places.found].map((place) => destinationOf(place, trust, 'mention'));
    const mentions = distinct(mentioned, trust).filter((each) => !aims.has(keyOf(each)));
    const counted = sent?.sure ? targets : [...targets, ...mentions];
    const unknown =
      whyUnknown(call) ??
      (places.tooMany || targets.length + mentions.length > MOST_DESTINATIONS ? 'too_many' : undefined);
    return {
      targets: targets.slice(0, MOST_DESTINATIONS),
      mentions: mentions.slice(0, MOST_DESTINATIONS),
      trust: trust.least(counted.map((each) => each.trust)),
      ...(unknown !== undefined && { unknown }),
    };
  }

  /**
   * Undefined where no matching resource says where the call sends to. `sure`: one of them is meant for certain, so that
   * nothing else is a target.
   */
  #sentTo(
    call: Classifiable,
  ):
    | { readonly targets: readonly Destination[]; readonly texts: ReadonlySet<string>; readonly sure: boolean }
    | undefined {
    const { upstream, method } = call.action;
    const candidates = this.#sending.candidates(upstream, method);
    if (candidates.length === 0) return undefined;
    const selected = new SelectedCall(call, this.#vocabulary, this.#upstreams.get(upstream)?.caseSensitive === true);
    const met = select(candidates, selected);
    if (met.length === 0) return undefined;
    const texts = new Set<string>();
    const targets = met.flatMap(({ selector, params }) => {
      selected.variables.params = params;
      return (selector as SendingSelector).sendings.flatMap((sending) => {
        const named = sending.texts(selected.variables);
        if (named === undefined) return [unknownTarget(sending.expression)];
        return named.flatMap((text) => {
          texts.add(text);
          return targetsIn(text, 'recipient', this.#vocabulary.trust);
        });
      });
    });
    // Nobody is named, so nobody knows where it goes.
    const sure = met.some((each) => each.sure);
    return { targets: targets.length > 0 ? targets : [unknownTarget('')], texts, sure };
  }

  #upstream({ action: { upstream, authority, target } }: Classifiable): readonly Destination[] {
    // A mount that several servers share goes to no place of its own.
    if (authority === '') return [];
    const value = `${authority}${target.split('?', 1)[0]}`;
    const place = readHost(value);
    const trust = this.#upstreams.get(upstream)?.trust ?? this.#vocabulary.trust.of(place);
    return [{ value: value.slice(0, LONGEST_VALUE), ...(place && { host: place.host }), trust, role: 'target' }];
  }
}

const unknownTarget = (value: string): Destination => ({ value, trust: EXTERNAL, role: 'target' });

/** Everything that a text names as the place where something is sent. */
export function targetsIn(text: string, naming: 'host' | 'recipient', trust: TrustTable): readonly Destination[] {
  const places = new Places();
  findHosts(text, naming, places);
  const found = [...places.found].map((place) => destinationOf(place, trust, 'target'));
  if (places.tooMany) found.push(unknownTarget(text.slice(0, LONGEST_VALUE)));
  if (found.length === 0) return [{ value: text.slice(0, LONGEST_VALUE), trust: trust.ofId(text), role: 'target' }];
  if (!namesOnlyPlaces(text, (part) => isPlace(part, naming))) found.push(unknownTarget(text.slice(0, LONGEST_VALUE)));
  return found;
}

function isPlace(part: string, naming: 'host' | 'recipient'): boolean {
  const places = new Places();
  findHosts(part, naming, places);
  return [...places.found].length > 0;
}

function destinationOf({ value, place }: Place, trust: TrustTable, role: Destination['role']): Destination {
  return { value, ...(place && { host: place.host }), trust: trust.of(place), role };
}

const keyOf = ({ trust, host, value }: Destination): string => `${trust} ${host ?? `? ${value}`}`;

/** Each host once for each trust, the least trusted first. */
function distinct(destinations: readonly Destination[], trust: TrustTable): readonly Destination[] {
  const byHost = new Map<string, Destination>();
  for (const each of destinations) {
    const key = keyOf(each);
    if (!byHost.has(key)) byHost.set(key, each);
  }
  return [...byHost.values()].sort((a, b) => trust.names.indexOf(b.trust) - trust.names.indexOf(a.trust));
}

function whyUnknown({ action: { protocol, args, body, streamed } }: Classifiable): Destinations['unknown'] {
  return protocol === 'http' && args === undefined && (streamed || body !== undefined) ? 'body_not_parsed' : undefined;
}
