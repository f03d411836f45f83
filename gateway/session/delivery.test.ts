import { describe, expect, it } from 'vitest';
import { MachineDriver } from '../testing/machine-driver.ts';
import { Delivery, defaultDeliveryLimits } from './delivery.ts';

/** A session on connection 1 with a window of 4, and everything that was sent or closed. */
class Wired {
  readonly driver = new MachineDriver({ resumeWindowMs: 10_000_000 });
  readonly sent: string[] = [];
  writable = true;
  commitIndex = Number.POSITIVE_INFINITY;
  nowMs = 0;
  readonly delivery: Delivery;

  constructor() {
    this.delivery = new Delivery({
      sessions: this.driver.machine,
      port: {
        send: (connection, seqId) => {
          this.sent.push(`${connection}:${seqId}`);
          return this.writable;
        },
        close: (connection, code) => this.sent.push(`${connection} closed ${code}`),
      },
      commitIndex: () => this.commitIndex,
      limits: { ...defaultDeliveryLimits, windowMessages: 4 },
    });
    this.bind(1);
  }

  bind(connection: number): void {
    const { nextSeqId } = this.driver.started({ connection });
    this.delivery.bind('s1', connection, nextSeqId, this.nowMs);
  }

  push(count: number): void {
    for (let n = 0; n < count; n += 1) this.driver.push();
    this.delivery.deliver('s1', this.nowMs);
  }

  ack(upTo: number): void {
    this.driver.ack(upTo);
    this.delivery.deliver('s1', this.nowMs);
  }

  /** Lets time pass as the gateway does: from deadline to deadline. */
  passTo(ms: number): void {
    for (
      let next = this.delivery.nextDeadlineMs;
      next !== undefined && next <= ms;
      next = this.delivery.nextDeadlineMs
    ) {
      this.nowMs = next;
      this.delivery.runDeadlines(next);
    }
    this.nowMs = ms;
  }

  take(): string[] {
    return this.sent.splice(0);
  }
}

describe('delivery', () => {
  it('sends in order, within the window, and goes on as acknowledgements come', () => {
    const wired = new Wired();
    wired.push(6);
    expect(wired.take()).toEqual(['1:1', '1:2', '1:3', '1:4']);
    expect(wired.delivery.inFlight(1)).toBe(4);
    wired.ack(1);
    wired.ack(3);
    expect(wired.take()).toEqual(['1:5', '1:6']);
  });

  it('sends nothing that is not committed, nor what comes after it', () => {
    const wired = new Wired();
    wired.driver.push({ ttlMs: 100 });
    wired.driver.push();
    wired.commitIndex = wired.driver.index;
    wired.driver.pass(100);
    wired.delivery.deliver('s1', 0);
    expect(wired.take()).toEqual([]);
    wired.commitIndex = wired.driver.index;
    wired.delivery.deliver('s1', 0);
    expect(wired.take()).toEqual(['1:1', '1:2']);
  });

  it('sends everything unacknowledged at once on a new connection, and nothing on the old one', () => {
    const wired = new Wired();
    wired.push(3);
    wired.ack(1);
    wired.take();
    wired.bind(2);
    expect(wired.take()).toEqual(['2:2', '2:3']);
    expect(wired.delivery.sessionOf(1)).toBeUndefined();
    expect(wired.delivery.connectionOf('s1')).toBe(2);
    wired.push(1);
    expect(wired.take()).toEqual(['2:4']);
  });

  it('stops serving a connection as soon as a newer START is applied, committed or not', () => {
    const wired = new Wired();
    wired.push(1);
    wired.driver.started({ connection: 2 });
    wired.driver.push();
    wired.delivery.deliver('s1', 0);
    expect(wired.take()).toEqual(['1:1']);
    expect(wired.delivery.ackVerdict(1, 1)).toBe('unbound');
    wired.passTo(1_000_000);
    expect(wired.take()).toEqual([]);
  });

  it('judges acknowledgements by what was sent on this connection', () => {
    const wired = new Wired();
    wired.push(6);
    wired.ack(1);
    wired.take();
    expect(wired.delivery.ackVerdict(1, 1)).toBe('old');
    expect(wired.delivery.ackVerdict(1, 5)).toBe('ok');
    expect(wired.delivery.ackVerdict(1, 6)).toBe('past');
    expect(wired.delivery.ackVerdict(9, 1)).toBe('unbound');
    expect(wired.delivery.unbind(1)).toBe('s1');
    expect(wired.delivery.ackVerdict(1, 5)).toBe('unbound');
    expect(wired.delivery.unbind(1)).toBeUndefined();
  });
});

describe('retransmission', () => {
  it('comes after the ack timeout, three times, and then the connection is closed', () => {
    const wired = new Wired();
    wired.push(2);
    wired.passTo(29_999);
    expect(wired.take()).toEqual(['1:1', '1:2']);
    wired.passTo(30_000);
    expect(wired.take()).toEqual(['1:1', '1:2']);
    wired.passTo(119_999);
    expect(wired.take()).toEqual(['1:1', '1:2', '1:1', '1:2']);
    wired.passTo(120_000);
    expect(wired.take()).toEqual(['1 closed 2005']);
    expect(wired.driver.session()).toMatchObject({ state: 'inited', nextSeqId: 3 });
    expect(wired.delivery.nextDeadlineMs).toBeUndefined();
  });

  it('is for what was sent that long ago only', () => {
    const wired = new Wired();
    wired.push(1);
    wired.passTo(20_000);
    wired.push(1);
    wired.take();
    wired.passTo(49_999);
    expect(wired.take()).toEqual(['1:1']);
    wired.passTo(50_000);
    expect(wired.take()).toEqual(['1:2']);
  });

  it('never happens to what is acknowledged', () => {
    const wired = new Wired();
    wired.push(2);
    wired.ack(1);
    wired.take();
    wired.passTo(30_000);
    expect(wired.take()).toEqual(['1:2']);
    wired.ack(2);
    wired.passTo(1_000_000);
    expect(wired.take()).toEqual([]);
    expect(wired.delivery.nextDeadlineMs).toBeUndefined();
  });

  it('goes on where it was blocked', () => {
    const wired = new Wired();
    wired.push(2);
    wired.take();
    wired.writable = false;
    wired.passTo(30_000);
    expect(wired.take()).toEqual(['1:1']);
    wired.writable = true;
    wired.delivery.writable(1, 31_000);
    wired.passTo(40_000);
    expect(wired.take()).toEqual(['1:2']);
  });

  it('is done at once for a request that is repeated on the connection it came on', () => {
    const wired = new Wired();
    wired.driver.admit(1);
    wired.driver.answer(1);
    wired.delivery.deliver('s1', 0);
    wired.delivery.resend(1, 1, 0);
    expect(wired.take()).toEqual(['1:1', '1:1']);
    wired.bind(2);
    wired.delivery.resend(2, 1, 0);
    expect(wired.take()).toEqual(['2:1']);
  });
});

describe('a connection that does not drain', () => {
  it('gets nothing until it is writable', () => {
    const wired = new Wired();
    wired.writable = false;
    wired.push(3);
    expect(wired.take()).toEqual(['1:1']);
    wired.writable = true;
    wired.push(1);
    expect(wired.take()).toEqual([]);
    wired.delivery.writable(1, 9_999);
    expect(wired.take()).toEqual(['1:2', '1:3', '1:4']);
    wired.passTo(29_999);
    expect(wired.take()).toEqual([]);
  });

  it('is closed as a slow consumer after ten seconds', () => {
    const wired = new Wired();
    wired.writable = false;
    wired.push(3);
    wired.passTo(9_999);
    expect(wired.take()).toEqual(['1:1']);
    wired.passTo(10_000);
    expect(wired.take()).toEqual(['1 closed 2007']);
    expect(wired.driver.session().queue.length).toBe(3);
  });
});
