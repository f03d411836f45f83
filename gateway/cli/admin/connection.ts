import { type ClientReadableStream, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { AdminServiceClient, type GatewayStatus } from '../../../proto/gen/admin.ts';
import type { Error as MessageError } from '../../../proto/gen/message.ts';
import { GatewayServiceClient } from '../../../proto/gen/upstream.ts';
import { errorCodeName } from '../../protocol/error-codes.ts';
import { CommandError, exitCodes } from '../command-error.ts';
import { addressList, duration, type parseFlags } from '../flags.ts';
import { channelCredentials, tlsFlags, tlsHelp } from '../grpc-flags.ts';

/** Flags that every `admin` subcommand that calls a gateway takes. */
export const connectionFlags = {
  gateway: { type: 'string' },
  addr: { type: 'string' },
  timeout: { type: 'string', default: '5s' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  ...tlsFlags,
} as const;

export const connectionHelp = `  --gateway ADDR,ADDR   the gateways' gRPC addresses; default localhost:8092. The first that answers is asked
  --timeout DURATION    for the answer; default 5s
  --json                machine-readable
${tlsHelp}`;

type ConnectionValues = Pick<
  ReturnType<typeof parseFlags<typeof connectionFlags>>['values'],
  'gateway' | 'addr' | 'timeout' | 'json' | 'ca' | 'cert' | 'key'
>;

/** Sends one call; `rest` goes behind the request. */
type Send<Client, Response> = (
  client: Client,
  ...rest: [Metadata, { deadline: number }, (error: ServiceError | null, response: Response) => void]
) => unknown;

type Credentials = ReturnType<typeof channelCredentials>;

/** The gateways a subcommand talks to. */
export class AdminConnection {
  readonly addresses: readonly string[];
  readonly json: boolean;
  readonly #values: ConnectionValues;
  readonly #timeoutMs: number;

  /** @throws {UsageError} */
  constructor(values: ConnectionValues) {
    this.#values = values;
    const flag = values.gateway === undefined && values.addr !== undefined ? 'addr' : 'gateway';
    this.addresses = addressList(flag, values[flag] ?? 'localhost:8092');
    this.#timeoutMs = duration('timeout', values.timeout);
    this.json = values.json === true;
  }

  /** The newest status of one gateway. @throws {CommandError} */
  status(address: string): Promise<GatewayStatus> {
    const client = new AdminServiceClient(address, channelCredentials(this.#values));
    const stream = client.watch({ intervalMs: 0 }, { deadline: this.#deadline() });
    return firstOf(stream)
      .finally(() => {
        stream.cancel();
        client.close();
      })
      .catch((error) => {
        throw callError(address, error);
      });
  }

  /** The status of the first gateway that answers. */
  anyStatus(): Promise<GatewayStatus> {
    return this.#first((address) => this.status(address));
  }

  admin<Response>(send: Send<AdminServiceClient, Response>): Promise<Response> {
    return this.#call(AdminServiceClient, send);
  }

  gateway<Response>(send: Send<GatewayServiceClient, Response>): Promise<Response> {
    return this.#call(GatewayServiceClient, send);
  }

  #call<Client extends { close(): void }, Response>(
    Client: new (address: string, credentials: Credentials) => Client,
    send: Send<Client, Response>,
  ): Promise<Response> {
    return this.#first(async (address) => {
      const client = new Client(address, channelCredentials(this.#values));
      try {
        return await new Promise<Response>((resolve, reject) => {
          send(client, new Metadata(), { deadline: this.#deadline() }, (error, response) => {
            if (error === null) resolve(response);
            else reject(error);
          });
        });
      } catch (error) {
        throw callError(address, error);
      } finally {
        client.close();
      }
    });
  }

  #deadline(): number {
    return Date.now() + this.#timeoutMs;
  }

  /** Goes on to the next gateway when one cannot be reached. */
  async #first<T>(call: (address: string) => Promise<T>): Promise<T> {
    let failure: unknown;
    for (const address of this.addresses) {
      try {
        return await call(address);
      } catch (error) {
        failure = error;
        if (!(error instanceof CommandError && error.exitCode === exitCodes.cannotConnect)) throw error;
      }
    }
    throw failure;
  }
}

function firstOf<T>(stream: ClientReadableStream<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    stream.once('data', resolve);
    stream.on('error', reject);
    stream.on('end', () => reject(new Error('the gateway ended the stream without a status')));
  });
}

function callError(address: string, error: unknown): CommandError {
  const { code, details, message } = error as Partial<ServiceError> & Error;
  const said = (details ?? message)
    .replace(/^No connection established\. Last error: (Error: )?/, '')
    .replace(/\. Resolution note: .*$/s, '');
  const text = `${address}: ${code === undefined ? '' : `${status[code]}: `}${said}`;
  switch (code) {
    case status.UNAVAILABLE:
      return new CommandError(exitCodes.cannotConnect, text);
    case status.DEADLINE_EXCEEDED:
      // Without a peer's address the call never left.
      return new CommandError(text.includes('remote_addr') ? exitCodes.failure : exitCodes.cannotConnect, text);
    case status.INTERNAL:
    case status.UNKNOWN:
    case undefined:
      return new CommandError(exitCodes.failure, text);
    default:
      return new CommandError(exitCodes.refused, text);
  }
}

/** @throws {CommandError} when the gateway answered that it did not do it. */
export function checkSuccess(answer: { success: boolean; error: MessageError | undefined }): void {
  if (answer.success) return;
  const { code, message } = answer.error ?? { code: 0, message: 'refused without a reason' };
  throw new CommandError(exitCodes.refused, `${errorCodeName(code)}: ${message}`);
}
