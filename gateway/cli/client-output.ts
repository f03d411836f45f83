import type { MessageInfo } from '../client/client.ts';

/** What `--json` calls the lines of a client. */
type LineType = 'response' | 'notify';

export interface ClientOutput {
  write(type: LineType, data: Uint8Array, info: MessageInfo): void;
  /** For people, on stderr. */
  note(text: string): void;
}

/** The bytes as they are and a newline, or one object a line with the data in base64. */
export function clientOutput(json: boolean): ClientOutput {
  const note = (text: string): void => {
    process.stderr.write(`gatesvr: ${text}\n`);
  };
  if (!json) return { note, write: (_type, data) => void process.stdout.write(Buffer.concat([data, newline])) };
  return {
    note,
    write: (type, data, info) => {
      const line = { type, seq_id: info.seqId, data: Buffer.from(data).toString('base64') };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    },
  };
}

const newline = Buffer.from('\n');
