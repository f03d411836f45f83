import { describe, expect, it } from 'vitest';
import { MachineDriver } from '../testing/machine-driver.ts';

function started(limits = {}): MachineDriver {
  const driver = new MachineDriver(limits);
  driver.started();
  return driver;
}

describe('a request', () => {
  it('is forwarded once, open until answered, and then answered from the queue until acknowledged', () => {
    const driver = started();
    expect(driver.admit(1)).toEqual({ kind: 'admit', action: 'forward' });
    expect(driver.admit(1)).toEqual({ kind: 'admit', action: 'open' });
    driver.answer(1);
    expect(driver.effectKinds()).toEqual(['deliver']);
    expect(driver.session().queue.entry(1)).toMatchObject({ msgId: 101, clientSeq: 1 });
    expect(driver.admit(1)).toEqual({ kind: 'admit', action: 'resend', seqId: 1 });
    driver.ack(1);
    expect(driver.admit(1)).toEqual({ kind: 'admit', action: 'acked' });
    driver.answer(1);
    expect(driver.queued()).toEqual([]);
  });

  it('may skip numbers and use them later, but not more than 64 below the highest (rule 6)', () => {
    const driver = started();
    driver.admit(100);
    expect(driver.admit(36)).toMatchObject({ action: 'forward' });
    expect(driver.admit(35)).toMatchObject({ action: 'refused', code: 1001 });
    expect(driver.admit(0)).toMatchObject({ action: 'refused', code: 1001 });
  });

  it('that is slow stays open, answerable and repeatable while hundreds pass it', () => {
    const driver = started();
    driver.admit(1);
    for (let seq = 2; seq <= 400; seq += 1) {
      expect(driver.admit(seq)).toMatchObject({ action: 'forward' });
      driver.answer(seq);
      driver.ack(seq - 1);
    }
    expect(driver.admit(1)).toMatchObject({ action: 'open' });
    driver.answer(1);
    expect(driver.queued()).toEqual(['400:1:10']);
    expect(driver.admit(1)).toMatchObject({ action: 'resend', seqId: 400 });
    driver.ack(400);
    expect(driver.admit(1)).toMatchObject({ action: 'refused', code: 1001 });
  });

  it('that was withdrawn may be sent again, also when the window moved on', () => {
    const driver = started();
    driver.admit(1);
    driver.apply({ kind: 'withdraw', sessionId: 's1', clientSeq: 1 });
    for (let seq = 2; seq <= 200; seq += 1) {
      driver.admit(seq);
      driver.answer(seq);
      driver.ack(seq - 1);
    }
    expect(driver.admit(1)).toMatchObject({ action: 'forward' });
  });

  it('that was open when the primary died is forwarded again, and only then answered', () => {
    const driver = started();
    driver.admit(1);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    driver.answer(1);
    expect(driver.queued()).toEqual([]);
    expect(driver.session()).toMatchObject({ places: 0, connected: false });
    driver.started({ connection: 2 });
    expect(driver.admit(1)).toMatchObject({ action: 'forward' });
    driver.answer(1);
    expect(driver.queued()).toEqual(['1:1:10']);
  });

  it('of an overtaken connection or an ended session goes nowhere', () => {
    const driver = started();
    driver.started({ connection: 2 });
    const old = { kind: 'admit', sessionId: 's1', binding: 1, clientSeq: 1, msgId: 1 } as const;
    expect(driver.apply(old)).toMatchObject({ action: 'refused', code: 4004 });
    driver.apply({ kind: 'close', sessionId: 's1', code: 0, reason: 'stop' });
    expect(driver.apply(old)).toMatchObject({ action: 'refused', code: 3001 });
  });

  it('activates the session with the zone that answered first', () => {
    const driver = started();
    driver.admit(1);
    driver.answer(1);
    expect(driver.session()).toMatchObject({ state: 'inited', zoneId: '' });
    driver.admit(2);
    driver.answer(2, 10, '004');
    driver.admit(3);
    driver.answer(3, 10, '005');
    expect(driver.session()).toMatchObject({ state: 'normal', zoneId: '004' });
    expect(driver.machine.zoneSessions()).toEqual(new Map([['004', 1]]));
    expect(driver.machine.counts()).toMatchObject({ sessions: 1, normal: 1, inited: 0, connected: 1 });
  });
});

describe('limits on requests', () => {
  it('keep a place in the queue for every answer', () => {
    const driver = started({ queueMessagesMax: 3 });
    driver.push();
    driver.admit(1);
    driver.admit(2);
    expect(driver.admit(3)).toMatchObject({ action: 'refused', code: 1004 });
    expect(driver.push()).toMatchObject({ status: 'queue-full' });
    driver.answer(1);
    driver.answer(2);
    expect(driver.session().places).toBe(3);
    driver.ack(1);
    expect(driver.admit(3)).toMatchObject({ action: 'forward' });
  });

  it('bound how many are open, and a refusal leaves the number free', () => {
    const driver = started({ openRequestsMax: 2 });
    driver.admit(1);
    driver.admit(2);
    expect(driver.admit(3)).toMatchObject({ action: 'refused', code: 1001 });
    expect(driver.session().maxClientSeq).toBe(2);
    driver.answer(1);
    expect(driver.admit(3)).toMatchObject({ action: 'forward' });
  });

  it('give an answer that finds no room in its short form', () => {
    const driver = started({ queueBytesMax: 50 });
    driver.admit(1);
    driver.admit(2);
    driver.answer(1, 45);
    driver.answer(2, 45);
    expect(driver.queued()).toEqual(['1:1:45', '2:2:1']);
    const total = started({ totalQueueBytesMax: 30 });
    total.admit(1);
    total.answer(1, 31);
    expect(total.queued()).toEqual(['1:1:1']);
  });
});

describe('an acknowledgement', () => {
  it('is cumulative, never goes back, and never passes the end', () => {
    const driver = started();
    for (let n = 0; n < 5; n += 1) driver.push();
    expect(driver.ack(3)).toEqual({ kind: 'done' });
    expect(driver.effects).toEqual([{ kind: 'acked', sessionId: 's1', upTo: 3 }]);
    expect(driver.ack(2)).toEqual({ kind: 'done' });
    expect(driver.effects).toEqual([]);
    expect(driver.ack(6)).toMatchObject({ kind: 'refused', code: 4001 });
    expect(driver.session()).toMatchObject({ ackUpTo: 3, queueBytes: 20 });
    expect(driver.machine.counts()).toMatchObject({ queueMessages: 2, queueBytes: 20 });
  });
});
