import { ErrorCode } from '../../proto/gen/message.ts';

/** What a client does next, decided by the code's thousands digit (interface, "Error codes"). */
export type NextStep = 'end' | 'stay' | 'reconnect' | 'login' | 'stop';

export function nextStep(code: number): NextStep {
  switch (Math.floor(code / 1000)) {
    case 0:
      return 'end';
    case 1:
      return 'stay';
    case 2:
      return 'reconnect';
    case 3:
      return 'login';
    default:
      return 'stop';
  }
}

const names = new Map<number, string>(
  Object.entries(ErrorCode).map(([name, code]) => [code, name.replace(/^ERROR_/, '')]),
);

/** "QUEUE_FULL" for 1004; an unknown code keeps its number. */
export function errorCodeName(code: number): string {
  return code === 0 ? 'OK' : (names.get(code) ?? `CODE_${code}`);
}

export { ErrorCode };
