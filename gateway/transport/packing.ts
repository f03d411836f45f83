/**
 * The packed form in which batches cross into the addon and out of it (read and written there in commands.rs and
 * events.rs): 32-bit words, and the bytes they speak of. A word that names a connection has its kind in the low four
 * bits and its slot above.
 */

/** Kinds of events, out of the addon. */
export const Event = { frame: 1, opened: 2, moved: 3, writable: 4, closed: 5, stopped: 6 } as const;

/** A slot is a place in the tables of both sides; with its generation it is a connection's id. */
export const slotBits = 20;
const slotMask = (1 << slotBits) - 1;

/** Never used twice: a slot's generation rises each time it is given away. */
export function connectionId(slot: number, generation: number): number {
  return generation * (1 << slotBits) + slot;
}

export function slotOf(connection: number): number {
  return connection & slotMask;
}

function generationOf(connection: number): number {
  return Math.floor(connection / (1 << slotBits));
}

const Command = { send: 1, sendShared: 2, close: 3, watch: 4, connect: 5, finish: 6, body: 7, updateKeys: 9 } as const;

const noBytes = new Uint8Array(0);
/** A body up to this size is copied into its frame unless it is seen again at once. */
const inlineBytesMax = 1024;

/** Buffers keep their size between flushes up to this one. */
const keptBytesMax = 1 << 20;

/** A body is found again among this many; bodies that are used once must not make each flush slower. */
const bodiesRemembered = 16;

/** Collects commands until a flush. */
export class CommandWriter {
  words: Uint32Array<ArrayBuffer> = new Uint32Array(4096);
  wordCount = 0;
  payload: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(64 * 1024);
  payloadLength = 0;
  /** Where the length of the last command stands, when that was a send, and to whom. */
  #lastSend = -1;
  #lastTarget = -1;
  #bodies: Uint8Array[] = [];
  /** The body of the last frame that had one: the second time it is shared. */
  #lastBody: Uint8Array | undefined;

  send(connection: number, head: Uint8Array): void {
    this.#sendInline(connection, head, noBytes);
  }

  /** A small body that goes to one connection is cheaper copied than named. */
  sendWithBody(connection: number, head: Uint8Array, body: Uint8Array): void {
    if (body.length > inlineBytesMax || body === this.#lastBody) return this.#sendShared(connection, head, body);
    this.#lastBody = body;
    this.#sendInline(connection, head, body);
  }

  #sendInline(connection: number, head: Uint8Array, body: Uint8Array): void {
    const length = head.length + body.length;
    this.#reserve(length + 4, 3);
    this.#beginSend(connection, length + 4);
    this.#frameLength(length);
    this.#append(head);
    if (body.length > 0) this.#append(body);
  }

  #sendShared(connection: number, head: Uint8Array, body: Uint8Array): void {
    const index = this.#bodyIndex(body);
    this.#reserve(head.length + 4, 4);
    this.#target(Command.sendShared, connection);
    this.words[this.wordCount++] = head.length + 4;
    this.words[this.wordCount++] = index;
    this.#frameLength(head.length + body.length);
    this.#append(head);
    this.#lastTarget = -1;
  }

  /** Bytes for the stream as they are, without a frame's length. */
  sendBytes(connection: number, bytes: Uint8Array): void {
    this.#reserve(bytes.length, 3);
    this.#beginSend(connection, bytes.length);
    this.#append(bytes);
  }

  close(connection: number, code: number, reason: string, atOnce: boolean): void {
    this.#textCommand(Command.close, connection, [code, atOnce ? 1 : 0], [reason]);
  }

  watch(connection: number): void {
    this.#textCommand(Command.watch, connection, [], []);
  }

  finish(connection: number): void {
    this.#textCommand(Command.finish, connection, [], []);
  }

  updateKeys(connection: number): void {
    this.#textCommand(Command.updateKeys, connection, [], []);
  }

  connect(connection: number, host: string, port: number, serverName: string): void {
    this.#textCommand(Command.connect, connection, [port], [host, serverName]);
  }

  /** Forgets everything, after it was handed over. */
  clear(): void {
    this.wordCount = 0;
    this.payloadLength = 0;
    this.#lastTarget = -1;
    this.#lastBody = undefined;
    if (this.#bodies.length > 0) this.#bodies = [];
    if (this.payload.length > keptBytesMax) this.payload = Buffer.allocUnsafeSlow(64 * 1024);
  }

  #target(kind: number, connection: number): void {
    this.words[this.wordCount++] = kind | (slotOf(connection) << 4);
    this.words[this.wordCount++] = generationOf(connection);
  }

  /** Sends to one connection in a row become one. */
  #beginSend(connection: number, length: number): void {
    if (this.#lastTarget === connection) {
      this.words[this.#lastSend] = (this.words[this.#lastSend] ?? 0) + length;
      return;
    }
    this.#target(Command.send, connection);
    this.#lastSend = this.wordCount;
    this.#lastTarget = connection;
    this.words[this.wordCount++] = length;
  }

  #bodyIndex(body: Uint8Array): number {
    const count = this.#bodies.length;
    for (let index = count - 1; index >= 0 && index >= count - bodiesRemembered; index--) {
      if (this.#bodies[index] === body) return index;
    }
    this.#reserve(body.length, 2);
    this.words[this.wordCount++] = Command.body;
    this.words[this.wordCount++] = body.length;
    this.#append(body);
    return this.#bodies.push(body) - 1;
  }

  #textCommand(kind: number, connection: number, numbers: readonly number[], texts: readonly string[]): void {
    const bytes = texts.map((text) => Buffer.from(text));
    this.#reserve(
      bytes.reduce((sum, part) => sum + part.length, 0),
      2 + numbers.length + texts.length,
    );
    this.#target(kind, connection);
    for (const number of numbers) this.words[this.wordCount++] = number;
    for (const part of bytes) {
      this.words[this.wordCount++] = part.length;
      this.#append(part);
    }
    this.#lastTarget = -1;
  }

  #frameLength(length: number): void {
    this.payload.writeUInt32BE(length, this.payloadLength);
    this.payloadLength += 4;
  }

  #append(bytes: Uint8Array): void {
    this.payload.set(bytes, this.payloadLength);
    this.payloadLength += bytes.length;
  }

  #reserve(bytes: number, words: number): void {
    if (this.payloadLength + bytes > this.payload.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.payload.length, this.payloadLength + bytes));
      larger.set(this.payload.subarray(0, this.payloadLength));
      this.payload = larger;
    }
    if (this.wordCount + words > this.words.length) {
      const larger = new Uint32Array(2 * this.words.length);
      larger.set(this.words);
      this.words = larger;
    }
  }
}

/** The words at the end of a batch of events; the payload begins at 0. */
export function eventWords(batch: Buffer): Uint32Array {
  const end = batch.length - 4;
  const count = batch.readUInt32LE(end);
  return new Uint32Array(batch.buffer, batch.byteOffset + end - 4 * count, count);
}
