import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../bench/lib/child.ts';
import { patientFlags, type RunningGateway, startExampleZones, startGateway } from '../../bench/lib/gateways.ts';
import { residentBytesOf } from '../../bench/lib/process-usage.ts';
import { defaultOverloadLimits } from '../../gateway/overload/limits.ts';
import { AdminServiceClient, type OverloadLimits, type SetOverloadLimitsResponse } from '../../proto/gen/admin.ts';
import { ErrorCode, Error as ErrorMessage, PushType, RequestType } from '../../proto/gen/message.ts';
import { RawClient } from './raw-client.ts';

const setUpDeadlineMs = 120_000;
const generous = { ...defaultOverloadLimits, maxQps: 100_000, qpsWarningThreshold: 80_000, qpsWindowSeconds: 1 };

let gateway: RunningGateway;
let zones: readonly Child[] = [];
let client: RawClient;
let admin: AdminServiceClient;

beforeAll(async () => {
  gateway = await startGateway(['--upstream-zone-count=1', '--log-level=info', ...patientFlags]);
  zones = await startExampleZones(gateway, ['001']);
  client = new RawClient(gateway.quicAddress);
  admin = new AdminServiceClient(gateway.grpcAddress, credentials.createInsecure());
}, setUpDeadlineMs);

afterAll(async () => {
  admin?.close();
  await client?.stop();
  for (const child of [...zones, gateway?.process]) await child?.stop();
});

function setLimits(limits: OverloadLimits): Promise<SetOverloadLimitsResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<SetOverloadLimitsResponse>();
  admin.setOverloadLimits({ limits }, (error, response) => (error === null ? resolve(response) : reject(error)));
  return promise;
}

async function overloadState(): Promise<string> {
  const answer = await fetch(`http://${gateway.httpAddress}/stats`);
  return ((await answer.json()) as { overload: { state: string } }).overload.state;
}

describe('limits', () => {
  it('that break a rule are refused with it, and the old ones stay', async () => {
    expect((await setLimits(generous)).success).toBe(true);
    const wrong = await setLimits({ ...generous, maxConnections: 10, connectionWarningThreshold: 11 });
    expect(wrong.success).toBe(false);
    expect(wrong.error?.message).toMatch(/max_connections is 10, below overload.connection_warning_threshold 11/);
    expect(wrong.limits).toEqual(generous);
    expect((await setLimits({ ...generous, qpsWindowSeconds: 0 })).error?.message).toMatch(/qps_window_seconds is 0/);
  });

  it('take effect at once: requests over max_qps are told when to come again', async () => {
    const session = await client.login('busy');
    expect((await setLimits({ ...generous, maxQps: 5, qpsWarningThreshold: 4 })).success).toBe(true);
    const ids = Array.from({ length: 40 }, (_, index) => session.business('echo', 'x', index + 1));
    const outcomes = await Promise.all(ids.map((id) => session.outcome(id)));
    expect(outcomes.filter((outcome) => outcome === 'x').length).toBeGreaterThan(0);
    expect(outcomes).toContain(String(ErrorCode.ERROR_OVERLOADED));
    const refusal = session.pushes.find((push) => push.type === PushType.PUSH_ERROR);
    expect(ErrorMessage.decode(refusal?.payload ?? Buffer.alloc(0)).retryAfterMs).toBeGreaterThan(0);
    expect((await setLimits(generous)).success).toBe(true);
    await expect.poll(overloadState, { timeout: 10_000 }).toBe('normal');
    expect(await session.outcome(session.business('echo', 'again', 41))).toBe('again');
    expect(gateway.process.output).toMatch(/overload state changed/);
  });

  it('refuse logins over max_connections and let a session resume', async () => {
    const kept = await client.login('kept');
    const { connections } = (await (await fetch(`http://${gateway.httpAddress}/stats`)).json()) as {
      connections: number;
    };
    const limits = { ...generous, maxConnections: connections, connectionWarningThreshold: 1 };
    expect((await setLimits(limits)).success).toBe(true);
    const newcomer = client.connect();
    const refused = await newcomer.start({ openid: 'newcomer' }).catch(() => undefined);
    expect(refused?.error?.code ?? (await newcomer.closeCode())).toBe(ErrorCode.ERROR_TRY_LATER);
    await newcomer.closeCode();
    const { sessionId, epoch, resumeToken } = kept.session;
    const again = await client.login('kept', { sessionId, epoch, resumeToken });
    expect(again.session).toMatchObject({ success: true, resumed: true });
    expect((await setLimits(generous)).success).toBe(true);
  });
});

describe('a storm of reconnects (45)', () => {
  it('is let in a few at a time, and the rest are told different times to come again', async () => {
    await expect.poll(overloadState, { timeout: 10_000 }).toBe('normal');
    expect((await setLimits({ ...generous, maxQps: 20, qpsWarningThreshold: 16 })).success).toBe(true);
    const storm = await Promise.all(
      Array.from({ length: 200 }, (_, index) => client.login(`storm-${index}`).catch(() => undefined)),
    );
    const sessions = storm.flatMap((one) => (one === undefined ? [] : [one.session]));
    const refused = sessions.filter((session) => !session.success);
    expect(sessions.length - refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeGreaterThan(100);
    expect(refused.every((session) => session.error?.code === ErrorCode.ERROR_TRY_LATER)).toBe(true);
    const waits = refused.map((session) => session.error?.retryAfterMs ?? 0);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(500);
    expect(new Set(waits).size).toBeGreaterThan(refused.length / 2);
    expect(Math.max(...waits)).toBeGreaterThan(3000);
    expect((await setLimits(generous)).success).toBe(true);
  });
});

describe('memory that runs out (44)', () => {
  it('refuses new logins and says when to come again', async () => {
    const most = Math.ceil(residentBytesOf(gateway.process.pid) * 0.5);
    const other = await startGateway([
      `--overload-protection-memory-limit=${most}`,
      '--log-level=info',
      ...patientFlags,
    ]);
    const hungry = new RawClient(other.quicAddress);
    try {
      await expect.poll(async () => (await hungry.login('late')).session.success, { timeout: 20_000 }).toBe(false);
      const refused = await hungry.login('later');
      expect(refused.session.error).toMatchObject({ code: ErrorCode.ERROR_TRY_LATER });
      expect(refused.session.error?.retryAfterMs).toBeGreaterThan(0);
    } finally {
      await hungry.stop();
      await other.process.stop();
    }
  });
});

describe('a client over its own rate', () => {
  it('is slowed, then closed, and nobody else notices', async () => {
    const flags = ['--overload-protection-session-message-rate=50', '--upstream-zone-count=1'];
    const strict = await startGateway([...flags, '--log-level=info', ...patientFlags]);
    const loud = new RawClient(strict.quicAddress);
    try {
      const quiet = await loud.login('quiet');
      const flooder = await loud.login('flooder');
      for (let i = 0; i < 400; i += 1) flooder.request(RequestType.REQUEST_HEARTBEAT);
      expect(await flooder.closeCode()).toBe(ErrorCode.ERROR_RATE_EXCEEDED);
      const beat = quiet.request(RequestType.REQUEST_HEARTBEAT);
      expect((await quiet.answer(beat)).type).toBe(PushType.PUSH_HEARTBEAT_RESPONSE);
    } finally {
      await loud.stop();
      await strict.process.stop();
    }
  });
});
