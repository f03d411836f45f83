import { afterEach, describe, expect, it } from 'vitest';
import { HealthServer } from './health-server.ts';
import { silentLogger } from './lib/log.ts';
import { OperatorMetrics } from './metrics.ts';

let server: HealthServer | undefined;
afterEach(() => server?.close());

async function harness(serves: 'health' | 'metrics' | 'both', problems: string[] = []) {
  const metrics = new OperatorMetrics('api:6443');
  server = new HealthServer({ healthy: () => problems, ready: () => problems, metrics, log: silentLogger });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 }, serves);
  const get = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, init);
    return { status: answer.status, text: await answer.text() };
  };
  return { get, metrics, port };
}

describe('health', () => {
  it.each(['/healthz', '/health', '/readyz', '/ready', '/readyz?verbose'])('answers %s', async (path) => {
    const { get } = await harness('health');
    expect(await get(path)).toEqual({ status: 200, text: 'ok\n' });
  });

  it('says what is wrong', async () => {
    const { get } = await harness('both', ['watch of pods: wedged', 'queue pair: a/b/p0: stuck']);
    const text = 'watch of pods: wedged\nqueue pair: a/b/p0: stuck\n';
    expect(await get('/healthz')).toEqual({ status: 503, text });
    expect(await get('/readyz')).toEqual({ status: 503, text });
  });

  it('serves each address only what it is for', async () => {
    expect(await (await harness('health')).get('/metrics')).toEqual({
      status: 404,
      text: 'expected /healthz, /readyz\n',
    });
    await server?.close();
    expect((await (await harness('metrics')).get('/healthz')).status).toBe(404);
    const { get } = await harness('both');
    expect((await get('/healthz', { method: 'POST' })).status).toBe(405);
  });

  it('names an address that cannot be taken', async () => {
    const { port } = await harness('health');
    const second = new HealthServer({
      healthy: () => [],
      ready: () => [],
      metrics: new OperatorMetrics('api'),
      log: silentLogger,
    });
    await expect(second.listen({ host: '127.0.0.1', port }, 'health')).rejects.toThrow(`127.0.0.1:${port}: `);
  });
});

describe('metrics', () => {
  it('have the names that dashboards for controller-runtime know', async () => {
    const { get, metrics } = await harness('metrics');
    metrics.added('pair');
    metrics.depth('pair', 3);
    metrics.waited('pair', 20);
    metrics.worked('pair', 40, 'error');
    metrics.worked('pair', 40, 'success');
    metrics.retried('pair');
    metrics.requested('GET', '200');
    const source = {
      isLeader: true,
      stores: () => [['pods', { staleMs: 1500, objects: 7 }] as const],
      running: () => [['pair', [2000, 3000]] as const],
    };
    metrics.observe(source, 'operator');
    const { text } = await get('/metrics');
    const lines = text.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'controller_runtime_reconcile_total{controller="pair",result="error"} 1',
        'controller_runtime_reconcile_total{controller="pair",result="success"} 1',
        'controller_runtime_reconcile_errors_total{controller="pair"} 1',
        'controller_runtime_reconcile_time_seconds_count{controller="pair"} 2',
        'controller_runtime_active_workers{controller="pair"} 2',
        'workqueue_depth{name="pair",controller="pair"} 3',
        'workqueue_adds_total{name="pair",controller="pair"} 1',
        'workqueue_retries_total{name="pair",controller="pair"} 1',
        'workqueue_queue_duration_seconds_sum{name="pair"} 0.02',
        'workqueue_work_duration_seconds_count{name="pair"} 2',
        'workqueue_longest_running_processor_seconds{name="pair"} 3',
        'workqueue_unfinished_work_seconds{name="pair"} 5',
        'rest_client_requests_total{code="200",method="GET",host="api:6443"} 1',
        'leader_election_master_status{name="operator"} 1',
        'gatesvr_operator_store_stale_seconds{resource="pods"} 1.5',
        'gatesvr_operator_store_objects{resource="pods"} 7',
      ]),
    );
  });
});
