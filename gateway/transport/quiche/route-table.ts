import type { QuicheConnection } from './connection.ts';

/** Which connection a datagram is for, by the QUIC connection id that it carries. */
export class RouteTable {
  readonly #connections = new Map<string, QuicheConnection>();

  find(cid: Buffer): QuicheConnection | undefined {
    return this.#connections.get(cid.toString('latin1'));
  }

  add(connection: QuicheConnection, cid: Buffer): void {
    const key = cid.toString('latin1');
    connection.routes.add(key);
    this.#connections.set(key, connection);
  }

  /** Forgets the ids that the peer no longer uses, and gives it spare ones for new paths: as many as `spares`. */
  renew(connection: QuicheConnection, spares: number, issue: () => { cid: Buffer; resetToken: bigint }): void {
    const { quic, routes } = connection;
    for (let retired = quic.retiredScidNext(); retired !== null; retired = quic.retiredScidNext()) {
      this.#remove(connection, Buffer.from(retired));
    }
    let missing = Math.min(quic.sourceCidsLeft(), 1 + spares - routes.size);
    for (; missing > 0; missing--) {
      const { cid, resetToken } = issue();
      quic.newSourceCid(cid, resetToken, false);
      this.add(connection, cid);
    }
  }

  forget(connection: QuicheConnection): void {
    for (const key of connection.routes) this.#connections.delete(key);
  }

  #remove(connection: QuicheConnection, cid: Buffer): void {
    const key = cid.toString('latin1');
    if (connection.routes.delete(key)) this.#connections.delete(key);
  }
}
