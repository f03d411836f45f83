import manifest from '../../package.json' with { type: 'json' };

/** The version of this package; peers compare it (design §5, rule 9). */
export const version: string = manifest.version;
