import { createInterface } from 'node:readline';
import type { GatesvrClient } from '../client/client.ts';
import { errorMessage } from '../lib/errors.ts';
import type { ClientOutput } from './client-output.ts';

const help = `ACTION DATA   sends a request and prints its response
/status       says what the session is
/reconnect    leaves the connection and resumes
/quit         ends the session`;

/** Reads lines until `/quit` or the end of the input. Requests are sent one after the other. */
export async function interact(client: GatesvrClient, output: ClientOutput, timeoutMs: number): Promise<void> {
  const terminal = process.stdin.isTTY === true;
  const lines = createInterface({ input: process.stdin, terminal, prompt: '> ' });
  if (terminal) {
    output.note(`connected to ${client.endpoint}, session ${client.sessionId}; /help says what can be typed`);
    lines.prompt();
  }
  for await (const line of lines) {
    if (line.trim() === '/quit') break;
    await perform(client, output, line.trim(), timeoutMs);
    if (terminal) lines.prompt();
  }
  lines.close();
}

async function perform(client: GatesvrClient, output: ClientOutput, line: string, timeoutMs: number): Promise<void> {
  if (line === '') return;
  if (line.startsWith('/')) return command(client, output, line);
  const [, action = '', data = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
  try {
    const response = await client.requestWithInfo(action, data, { timeoutMs });
    output.write('response', response.data, response.info);
  } catch (error) {
    const codeName = error instanceof Error && 'codeName' in error ? `${error.codeName}: ` : '';
    output.note(`${codeName}${errorMessage(error)}`);
  }
}

function command(client: GatesvrClient, output: ClientOutput, line: string): void {
  switch (line) {
    case '/help':
      return void process.stderr.write(`${help}\n`);
    case '/status':
      return output.note(
        `${client.state} at ${client.endpoint}, session ${client.sessionId}, epoch ${client.epoch}, ` +
          `received up to ${client.receivedSeqId}, ${client.unansweredRequests} requests unanswered`,
      );
    case '/reconnect':
      return client.reconnect();
    default:
      return output.note(`${line}: unknown; /help says what can be typed`);
  }
}
