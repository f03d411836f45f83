import { chooseTransport } from '../../gateway/transport/choose.ts';
import type { ClientTransport, CloseCause, ConnectionId } from '../../gateway/transport/transport.ts';
import {
  AckRequest,
  BusinessRequest,
  BusinessResponse,
  ClientRequest,
  Error as ErrorMessage,
  PushType,
  RequestType,
  ServerPush,
  StartRequest,
  StartResponse,
} from '../../proto/gen/message.ts';

const deadlineMs = 20_000;

/** A connection that sends whatever a test wants, right or wrong, and keeps all that comes back. */
export class RawConnection {
  readonly pushes: ServerPush[] = [];
  closed: CloseCause | undefined;
  opened = false;
  #client: RawClient;
  #id: ConnectionId;
  #waiters: (() => void)[] = [];
  #msgId = 0;

  constructor(client: RawClient, id: ConnectionId) {
    this.#client = client;
    this.#id = id;
  }

  /** Sends the bytes as one frame. */
  frame(bytes: Uint8Array): void {
    this.#client.transport.send(this.#id, bytes);
    this.#client.transport.flush();
  }

  /** @returns its msg_id. */
  request(type: RequestType, payload: Uint8Array = new Uint8Array(0), seqId = 0): number {
    this.#msgId += 1;
    const fields = { msgId: this.#msgId, type, seqId: BigInt(seqId), payload: Buffer.from(payload) };
    this.frame(ClientRequest.encode(ClientRequest.fromPartial(fields)).finish());
    return this.#msgId;
  }

  async start(fields: Partial<StartRequest>): Promise<StartResponse> {
    const start = StartRequest.encode(StartRequest.fromPartial({ clientId: 'raw', ...fields })).finish();
    const msgId = this.request(RequestType.REQUEST_START, start);
    return StartResponse.decode((await this.answer(msgId)).payload);
  }

  business(action: string, data: string, seqId: number): number {
    const payload = BusinessRequest.encode({ action, data: Buffer.from(data) }).finish();
    return this.request(RequestType.REQUEST_BUSINESS, payload, seqId);
  }

  ack(upTo: number): void {
    this.request(RequestType.REQUEST_ACK, AckRequest.encode({ ackUpTo: BigInt(upTo) }).finish());
  }

  /** What a business request came to: the data, or the name of the refusal's code. */
  async outcome(msgId: number): Promise<string> {
    const push = await this.answer(msgId);
    if (push.type === PushType.PUSH_ERROR) return String(ErrorMessage.decode(push.payload).code);
    const response = BusinessResponse.decode(push.payload);
    return response.success ? response.data.toString() : String(response.error?.code);
  }

  answer(msgId: number): Promise<ServerPush> {
    return this.until(() => this.pushes.find((push) => push.msgId === msgId), `an answer to msg_id ${msgId}`);
  }

  /** Waits until the connection is closed by the other side. @returns the application code. */
  async closeCode(): Promise<number> {
    return (await this.until(() => this.closed, 'the close')).code;
  }

  /** Looks again after everything that comes, until `look` finds something. @throws Error at the deadline. */
  async until<T>(look: () => T | undefined, what: string): Promise<T> {
    const late = AbortSignal.timeout(deadlineMs);
    late.addEventListener('abort', () => this.notify());
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (late.aborted) throw new Error(`no ${what} within ${deadlineMs} ms; closed: ${JSON.stringify(this.closed)}`);
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
  }

  notify(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  close(): void {
    this.#client.transport.close(this.#id, 0, 'done');
    this.#client.transport.flush();
  }
}

/** Connections to one gateway, over one socket. */
export class RawClient {
  readonly transport: ClientTransport;
  #connections = new Map<ConnectionId, RawConnection>();
  #host: string;
  #port: number;

  /** @param address HOST:PORT with an IPv4 address. */
  constructor(address: string) {
    const [host = '', port = ''] = address.split(':');
    this.#host = host;
    this.#port = Number(port);
    const options = {
      alpn: 'gatesvr/1',
      maxFrameBytes: 16_777_216,
      idleTimeoutMs: 60_000,
      handshakeTimeoutMs: 20_000,
      trust: { insecure: true as const },
      sendBufferBytes: { low: 65_536, high: 1_048_576, hard: 67_108_864 },
      receiveBufferBytesMax: 16_777_216,
    };
    const tell = (id: ConnectionId, change: (connection: RawConnection) => void) => {
      const connection = this.#connections.get(id);
      if (connection === undefined) return;
      change(connection);
      connection.notify();
    };
    this.transport = chooseTransport('auto').openClient(options, {
      connectionOpened: (id) =>
        tell(id, (connection) => {
          connection.opened = true;
        }),
      frameReceived: (id, frame) => tell(id, (connection) => connection.pushes.push(ServerPush.decode(frame.slice()))),
      peerMoved: () => {},
      connectionWritable: () => {},
      connectionClosed: (id, cause) =>
        tell(id, (connection) => {
          connection.closed = cause;
        }),
      batchEnded: () => this.transport.flush(),
    });
  }

  /** A new connection, not waited for. */
  connect(): RawConnection {
    const id = this.transport.connect({ host: this.#host, port: this.#port, serverName: 'localhost' });
    const connection = new RawConnection(this, id);
    this.#connections.set(id, connection);
    this.transport.flush();
    return connection;
  }

  /** A new connection with a session. */
  async login(openid: string, fields: Partial<StartRequest> = {}): Promise<RawConnection & { session: StartResponse }> {
    const connection = this.connect();
    const session = await connection.start({ openid, ...fields });
    return Object.assign(connection, { session });
  }

  async stop(): Promise<void> {
    await this.transport.shutdown(1000);
  }
}
