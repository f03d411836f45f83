const refreshMs = 2000;
const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

function byId(id) {
  return document.getElementById(id);
}

function element(name, text, className = '') {
  const node = document.createElement(name);
  node.textContent = text;
  if (className !== '') node.className = className;
  return node;
}

function row(cells) {
  const line = document.createElement('tr');
  for (const [text, className] of cells) line.append(element('td', text, className));
  return line;
}

function figure(name, value) {
  const box = document.createElement('div');
  box.append(element('dt', name), element('dd', typeof value === 'number' ? number.format(value) : value));
  return box;
}

function showFigures(stats, performance) {
  const latency = performance.latency_ms;
  const bytes = performance.throughput_bytes_per_second;
  byId('figures').replaceChildren(
    figure('connections', stats.connections),
    figure('sessions', stats.sessions),
    figure('requests a second', performance.qps),
    figure('median, ms', latency.p50),
    figure('99 %, ms', latency.p99),
    figure('slowest, ms', latency.max),
    figure('queued messages', stats.queue.messages),
    figure('queued KiB', stats.queue.bytes / 1024),
    figure('in, KiB a second', bytes.in / 1024),
    figure('out, KiB a second', bytes.out / 1024),
    figure('overload', stats.overload.state),
  );
}

function zoneRows(id, zone) {
  const head = [
    [id, ''],
    [number.format(zone.sessions), 'n'],
  ];
  if (zone.endpoints.length === 0) return [row([...head, ['none', 'bad'], ['', ''], ['', '']])];
  return zone.endpoints.map((endpoint) =>
    row([
      ...head,
      [endpoint.address, ''],
      endpoint.healthy ? ['healthy', 'good'] : ['unhealthy', 'bad'],
      [number.format(endpoint.in_flight), 'n'],
    ]),
  );
}

function shardRow(shard) {
  const log = [shard.epoch, shard.log_index, shard.commit_index].map((value) => [String(value), 'n']);
  return row([[shard.id, ''], [shard.role, ''], ...log, [shard.in_sync.join(', '), '']]);
}

async function read(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(refreshMs) });
  return response.json();
}

function showState(text, className) {
  byId('state').replaceChildren(element('span', text, className));
}

async function refresh() {
  try {
    const [health, ready, stats, performance] = await Promise.all(
      ['/health', '/ready', '/stats', '/performance'].map(read),
    );
    byId('server').textContent = `${health.server_id} ${health.version}`;
    const reasons = ready.reasons ?? [];
    const state = `${health.role}, epoch ${health.epoch}`;
    if (reasons.length === 0) showState(`${state}, ready`, 'good');
    else showState(`${state}, not ready: ${reasons.join('; ')}`, 'bad');
    showFigures(stats, performance);
    const zones = Object.entries(stats.zones).sort(([a], [b]) => a.localeCompare(b));
    byId('zones').replaceChildren(...zones.flatMap(([id, zone]) => zoneRows(id, zone)));
    byId('shards').replaceChildren(...stats.shards.map(shardRow));
  } catch {
    showState('no answer from the gateway', 'bad');
  }
  setTimeout(refresh, refreshMs);
}

refresh();
