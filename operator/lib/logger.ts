import { destination, type LoggerOptions, pino, stdTimeFunctions } from 'pino';
import type { Logger } from './log.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface RootLogger extends Logger {
  /** Resolves when everything logged so far was handed to the system. */
  flush(): Promise<void>;
}

/** Lines wait in memory for a slow reader up to this; what comes then is dropped. */
const waitingBytesMax = 8_388_608;

/** JSON lines on standard output. */
export function createLogger(level: LogLevel): RootLogger {
  const stdout = destination({ dest: 1, sync: false, maxLength: waitingBytesMax });
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (name) => ({ level: name }) },
  };
  const logger = pino(options, stdout);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush: () => new Promise((resolve) => stdout.flush(() => resolve())),
  };
}
