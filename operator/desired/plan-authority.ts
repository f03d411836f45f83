/** A certificate with its private key, PEM. */
export interface Identity {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A former authority: what it issued may still be shown. */
export interface FormerAuthority {
  readonly certificate: string;
  /** Everything that it issued has ended by then. */
  readonly untilMs: number;
}

/** The authority of one GateSvr, with what came before and comes after it. Times are milliseconds since the epoch. */
export interface AuthorityState {
  /** Issues; absent only while its Secret was lost and the next one is not trusted everywhere yet. */
  readonly active?: Identity;
  /** Is trusted, and issues once it is trusted everywhere. */
  readonly next?: Identity & { readonly sinceMs: number };
  readonly former: readonly FormerAuthority[];
}

export interface AuthoritySettings {
  /** Before the end of an authority, when the next one is made. */
  readonly renewBeforeMs: number;
  /** How long the slowest gateway or zone may take to see a change of its mounted Secret. */
  readonly trustLagMs: number;
  /** How long what an authority issued is valid at most. */
  readonly issuedValidityMs: number;
}

export type AuthorityStep =
  /** The first one of all: nobody has to be waited for. */
  | { readonly kind: 'begin' }
  /** Makes the next one, to be trusted from now on. */
  | { readonly kind: 'makeNext' }
  /** The state as it is to be written. */
  | { readonly kind: 'become'; readonly state: AuthorityState }
  | { readonly kind: 'keep'; readonly recheckAfterMs: number };

/**
 * The one next step of an authority's life: the next one is trusted first, issues later, and the former one is trusted until
 * all that it issued has ended.
 * @param state undefined: there has never been one
 * @param activeEndsMs when the active certificate ends
 */
export function planAuthority(
  state: AuthorityState | undefined,
  activeEndsMs: number,
  nowMs: number,
  settings: AuthoritySettings,
): AuthorityStep {
  if (state === undefined) return { kind: 'begin' };
  const { active, next, former } = state;
  if (next === undefined && (active === undefined || activeEndsMs - nowMs < settings.renewBeforeMs)) {
    return { kind: 'makeNext' };
  }
  if (next !== undefined && nowMs - next.sinceMs >= settings.trustLagMs) {
    const { certificate, privateKey } = next;
    const untilMs = nowMs + settings.issuedValidityMs;
    const retired = active === undefined ? [] : [{ certificate: active.certificate, untilMs }];
    return { kind: 'become', state: { active: { certificate, privateKey }, former: [...former, ...retired] } };
  }
  const stillTrusted = former.filter(({ untilMs }) => untilMs > nowMs);
  if (stillTrusted.length < former.length) return { kind: 'become', state: { ...state, former: stillTrusted } };
  const moments = [
    ...(next === undefined ? [activeEndsMs - settings.renewBeforeMs] : [next.sinceMs + settings.trustLagMs]),
    ...former.map(({ untilMs }) => untilMs),
  ];
  return { kind: 'keep', recheckAfterMs: Math.max(0, Math.min(...moments) - nowMs) };
}

/** Every authority that is trusted, the issuing one first. */
export function trustBundle({ active, next, former }: AuthorityState): string {
  const certificates = [active?.certificate, next?.certificate, ...former.map(({ certificate }) => certificate)];
  return certificates.flatMap((certificate) => (certificate === undefined ? [] : [`${certificate.trim()}\n`])).join('');
}
