import { basename, dirname } from 'node:path';
import { type DestinationStream, destination, type LoggerOptions, type Logger as PinoLogger, pino } from 'pino';
import { createStream, type RotatingFileStream } from 'rotating-file-stream';
import { errorMessage } from './errors.ts';
import type { Logger } from './log.ts';

export interface LogOptions {
  /** Least level that is written. */
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  /** Not given: JSON lines on standard output. */
  readonly file: string | undefined;
  /** Size at which the file becomes FILE.1, FILE.1 becomes FILE.2, and so on. */
  readonly maxBytes: number;
  /** Rotated files kept. */
  readonly files: number;
}

/** The process's logger. */
export interface RootLogger extends Logger {
  /** Resolves when everything logged so far was handed to the system. */
  flush(): Promise<void>;
}

/** Lines wait in memory for a slow disk or reader up to this; what comes then is dropped. */
const waitingBytesMax = 8_388_608;

/** JSON lines on standard output, or lines for people in a rotated file. */
export function createLogger(options: LogOptions): RootLogger {
  return options.file === undefined ? stdoutLogger(options) : fileLogger(options, options.file);
}

const common: LoggerOptions = {
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (level) => ({ level }) },
};

function stdoutLogger({ level }: LogOptions): RootLogger {
  const stdout = destination({ dest: 1, sync: false, maxLength: waitingBytesMax });
  return rootLogger(pino({ ...common, level }, stdout), () => flushed((done) => stdout.flush(done)));
}

function fileLogger({ level, maxBytes, files }: LogOptions, file: string): RootLogger {
  const stream = createStream(basename(file), { path: dirname(file), size: `${maxBytes}B`, rotate: files });
  const lines = new FileLines(stream, file);
  const logger = pino({ ...common, level, mixin: () => ({ caller: callerPlace() }) }, lines);
  return rootLogger(logger, () => lines.flush());
}

function rootLogger(logger: PinoLogger, flush: () => Promise<void>): RootLogger {
  return {
    trace: (fields, message) => logger.trace(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush,
  };
}

/** Resolves when `start` reports back, or at once when it fails: nothing can be done about a log that cannot be written. */
function flushed(start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    start(() => resolve());
  });
}

/** Takes pino's JSON lines and writes them in the form for people. */
class FileLines implements DestinationStream {
  #stream: RotatingFileStream;
  #failed = false;

  constructor(stream: RotatingFileStream, file: string) {
    this.#stream = stream;
    stream.on('error', (error) => {
      this.#failed = true;
      process.stderr.write(`${file}: cannot be written, logging ends: ${errorMessage(error)}\n`);
    });
  }

  write(json: string): void {
    if (this.#failed || this.#stream.writableLength > waitingBytesMax) return;
    this.#stream.write(formatLine(JSON.parse(json)));
  }

  flush(): Promise<void> {
    return this.#failed ? Promise.resolve() : flushed((done) => this.#stream.write('', () => done()));
  }
}

/** `2025-01-12T15:04:05.123Z start.ts:47 INFO message key=value`, on one line whatever the values hold. */
export function formatLine(entry: Readonly<Record<string, unknown>>): string {
  const { time, caller, level, msg, ...fields } = entry;
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${formatValue(value)}`);
  return `${time} ${caller} ${String(level).toUpperCase()} ${oneLine(String(msg))}${pairs.join('')}\n`;
}

function formatValue(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=\p{C}]+$/u.test(value)) return value;
  return JSON.stringify(value).replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

function oneLine(message: string): string {
  return message.replace(/\p{C}/gu, ' ');
}

/** "start.ts:47": the first frame of the stack that is not the logging itself. */
function callerPlace(): string {
  const own = /[\\/](?:pino[\\/]|lib[\\/]logger\.[jt]s)/;
  for (const frame of new Error('caller').stack?.split('\n').slice(1) ?? []) {
    const match = /([^\\/()\s]+):(\d+):\d+\)?$/.exec(frame);
    if (match !== null && !own.test(frame)) return `${match[1]}:${match[2]}`;
  }
  return '?:0';
}

/** What logs show of an openid, a token or an address that clients sent: enough to recognise it, not enough to use it. */
export function shorten(text: string): string {
  const characters = Array.from(text.slice(0, 64));
  return characters.length <= 8 ? text : `${characters.slice(0, 6).join('')}…(${text.length})`;
}
