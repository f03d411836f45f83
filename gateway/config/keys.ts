import { parseAddress } from '../lib/address.ts';
import { formatDuration, parseDuration } from '../lib/duration.ts';

/** What a key's default is computed from when it is not a constant. */
export type ReadValue = (path: string) => unknown;

/** One configuration key. Everything a person or a program needs to know of it follows from this and its place in the table. */
export interface Key<T> {
  readonly kind: 'text' | 'address' | 'duration' | 'number' | 'switch' | 'choice' | 'list';
  readonly description: string;
  /** As it is written in YAML; empty when there is none. */
  readonly defaultText: string;
  /** Completes "expected …". */
  readonly expected: string;
  /** The value, or undefined when `text` is not one. */
  readonly parse: (text: string) => { readonly value: T } | undefined;
  /** When nobody gave a value, it follows from others; `defaultText` says how. */
  readonly derive?: (read: ReadValue) => T;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

function bounded(value: number | undefined, bounds: Bounds): { value: number } | undefined {
  return value !== undefined && value >= bounds.min && value <= bounds.max ? { value } : undefined;
}

function parseInteger(text: string): number | undefined {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A whole number. */
export function integer(defaultValue: number, bounds: Bounds, description: string): Key<number> {
  return {
    kind: 'number',
    description,
    defaultText: String(defaultValue),
    expected: `a whole number from ${bounds.min} to ${bounds.max}`,
    parse: (text) => bounded(parseInteger(text), bounds),
  };
}

/** A whole number that, when nobody gives it, is `percent` of another key's, and not less than `floor`. */
export function share(percent: number, ofPath: string, bounds: Bounds, description: string, floor = 0): Key<number> {
  return {
    ...integer(0, bounds, description),
    defaultText: `${percent} % of ${ofPath}${floor === 0 ? '' : `, at least ${floor}`}`,
    derive: (read) => Math.max(floor, Math.floor((Number(read(ofPath)) * percent) / 100)),
  };
}

/** A length of time; the value is in milliseconds. */
export function duration(defaultText: string, bounds: Bounds, description: string): Key<number> {
  return {
    kind: 'duration',
    description,
    defaultText,
    expected: `a duration from ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}, such as 200ms, 5s, 5m or 1h`,
    parse: (text) => bounded(parseDuration(text), bounds),
  };
}

/** An address to listen at; the host may be empty, port 0 takes any free one. */
export function listenAddress(defaultText: string, description: string): Key<string> {
  return {
    kind: 'address',
    description,
    defaultText,
    expected: 'HOST:PORT or :PORT, such as :8453, 127.0.0.1:8453 or [::1]:8453',
    parse: (text) => (parseAddress(text) === undefined ? undefined : { value: text }),
  };
}

/** An address of somebody else: host and port are both needed. */
export function peerAddress(description: string): Key<string | undefined> {
  return {
    kind: 'address',
    description,
    defaultText: '',
    expected: 'HOST:PORT, such as gate-002:8093, or nothing',
    parse: (text) => {
      if (text === '') return { value: undefined };
      const address = parseAddress(text);
      return address === undefined || address.host === '' || address.port === 0 ? undefined : { value: text };
    },
  };
}

/** Any text of at most 4096 characters; empty means not set. */
export function optionalText(
  description: string,
  expected = 'text of at most 4096 characters',
): Key<string | undefined> {
  return {
    kind: 'text',
    description,
    defaultText: '',
    expected: `${expected}, or nothing`,
    parse: (text) => (text.length > 4096 ? undefined : { value: text === '' ? undefined : text }),
  };
}

/** A path of a file; whether the file can be read is found out by whoever reads it. */
export function optionalFile(description: string): Key<string | undefined> {
  return optionalText(description, 'the path of a file');
}

/**
 * One file of the certificate and key pair. When neither was given, both have their usual place, or in development none;
 * when only the other one was, this one stays unset and a rule says so.
 */
export function certificatePart(usual: string, otherPath: string, description: string): Key<string | undefined> {
  return {
    ...optionalFile(description),
    defaultText: `${usual}, or with dev a throw-away one`,
    derive: (read) => (read('server.dev') === true || read(otherPath) !== undefined ? undefined : usual),
  };
}

/** The name of an object in Kubernetes (RFC 1123 subdomain); empty means not set. */
export function optionalObjectName(description: string): Key<string | undefined> {
  const expected = 'a name of small letters, digits, dot and dash';
  const optional = optionalText(description, expected);
  return {
    ...optional,
    parse: (written) => (objectNamePattern.test(written) ? optional.parse(written) : undefined),
  };
}

const objectNamePattern = /^$|^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/** An http or https URL; empty means not set. */
export function optionalUrl(description: string): Key<string | undefined> {
  const expected = 'an http or https URL, or nothing';
  const optional = optionalText(description);
  return {
    ...optional,
    expected,
    parse: (written) => (urlPattern.test(written) ? optional.parse(written) : undefined),
  };
}

const urlPattern = /^$|^https?:\/\/[^\s/]+\S*$/;

/** Text that must match `pattern`. */
export function text(defaultText: string, pattern: RegExp, expected: string, description: string): Key<string> {
  return {
    kind: 'text',
    description,
    defaultText,
    expected,
    parse: (written) => (pattern.test(written) ? { value: written } : undefined),
  };
}

export function flag(description: string): Key<boolean> {
  return onOff(false, description);
}

export function onOff(defaultValue: boolean, description: string): Key<boolean> {
  return {
    kind: 'switch',
    description,
    defaultText: String(defaultValue),
    expected: 'true or false',
    parse: (written) => (written === 'true' || written === 'false' ? { value: written === 'true' } : undefined),
  };
}

/** One of a few words; the first is the default unless another is named. */
export function choice<const W extends string>(
  words: readonly [W, ...W[]],
  description: string,
  defaultWord: NoInfer<W> = words[0],
): Key<W> {
  return {
    kind: 'choice',
    description,
    defaultText: defaultWord,
    expected: words.length === 1 ? words[0] : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`,
    parse: (written) => {
      const value = words.find((word) => word === written);
      return value === undefined ? undefined : { value };
    },
  };
}

/** Some of a few words, by comma, each once. */
export function wordList<const W extends string>(
  defaultWords: readonly W[],
  words: readonly W[],
  description: string,
): Key<readonly W[]> {
  return {
    kind: 'list',
    description,
    defaultText: defaultWords.join(','),
    expected: `a list of ${words.join(', ')}`,
    parse: (written) => {
      const value: W[] = [];
      for (const part of written.split(',').map((piece) => piece.trim())) {
        const word = words.find((known) => known === part);
        if (word === undefined || value.includes(word)) return undefined;
        value.push(word);
      }
      return { value };
    },
  };
}

/** Addresses by comma. */
export function addressList(description: string): Key<readonly string[]> {
  return {
    kind: 'list',
    description,
    defaultText: '',
    expected: 'HOST:PORT, or several by comma, or nothing',
    parse: (written) => {
      const value = written === '' ? [] : written.split(',').map((piece) => piece.trim());
      const isAddress = (piece: string) => {
        const address = parseAddress(piece);
        return address !== undefined && address.host !== '' && address.port !== 0;
      };
      return value.every(isAddress) ? { value } : undefined;
    },
  };
}
