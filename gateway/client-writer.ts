import type { Meter } from './handlers/context.ts';
import { encodePushHead } from './protocol/codec.ts';
import type { DeliveryPort } from './session/delivery.ts';
import type { ConnectionId, ConnectionWriter, ServerTransport } from './transport/transport.ts';

/** Stands before the transport, which needs a listener before it exists, and counts what is sent. */
export class ClientWriter implements ConnectionWriter {
  #transport: ServerTransport | undefined;
  #meter: Meter;

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  attach(transport: ServerTransport): void {
    this.#transport = transport;
  }

  send(connection: ConnectionId, head: Uint8Array, body?: Uint8Array): boolean {
    this.#meter.bytes(0, head.length + (body?.length ?? 0));
    return this.#transport?.send(connection, head, body) ?? true;
  }

  flush(): void {
    this.#transport?.flush();
  }

  close(connection: ConnectionId, code: number, reason: string): void {
    this.#transport?.close(connection, code, reason);
  }
}

/** Where the delivery's messages leave: numbered, then framed by the transport. */
export function deliveryPort(client: ConnectionWriter): DeliveryPort {
  return {
    send: (connection, seqId, msgId, body) => client.send(connection, encodePushHead(msgId, seqId), body),
    close: (connection, code, reason) => client.close(connection, code, reason),
  };
}
