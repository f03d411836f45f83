/**
 * Runs in a pod: zones and clients that load a pair through its Services, with the ledger of both. Told over HTTP what to do:
 * /run, /quiet, /delivered, /watch, /state and /ready.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { issueHmacToken } from '../../../gateway/auth/hmac.ts';
import { parseSecrets } from '../../../gateway/auth/secrets.ts';
import { Random } from '../../../gateway/testing/random.ts';
import { PairLoad, type PairLoadOptions } from '../../pair/pair-load.ts';
import { type LoadSettings, loadPort } from './load-settings.ts';

const firstZonePort = 9000;
const tokenHours = 12;
const folder = '/etc/gatesvr';

const settings = JSON.parse(process.env['LOAD_SETTINGS'] ?? '') as LoadSettings;
const podAddress = process.env['POD_IP'] ?? '';

function credentials(): Pick<PairLoadOptions, 'zone' | 'login'> {
  const read = (name: string) => readFileSync(join(folder, name));
  const [ca, cert, key] = [read('ca.crt'), read('zone.crt'), read('zone.key')];
  const channel = ChannelCredentials.createSsl(ca, key, cert);
  const server = ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }], true);
  const [secret] = parseSecrets(read('login.key'), 'login.key');
  if (secret === undefined) throw new Error('login.key holds no secret');
  const expiry = Date.now() / 1000 + tokenHours * 3600;
  return {
    login: { trust: { ca: ca.toString() }, tokenOf: (openid) => issueHmacToken(secret, openid, expiry) },
    zone: (zoneId) => {
      const port = firstZonePort + Number(zoneId);
      const name = settings.advertiseHost ?? podAddress;
      const address = { address: `:${port}`, advertiseAddress: `${name}:${port}` };
      return { ...address, credentials: { server, channel: () => channel } };
    },
  };
}

const { clientEndpoints, zoneEndpoints, clients, pushPauseMs, requestPauseMs, seed } = settings;
const starting = PairLoad.start({
  clientEndpoints,
  zoneEndpoints,
  clients,
  pushPauseMs,
  requestPauseMs,
  random: new Random(seed),
  ...credentials(),
});
let load: PairLoad | undefined;

const actions: Readonly<Record<string, (load: PairLoad) => unknown>> = {
  '/run': (running) => running.run(),
  '/quiet': (running) => running.quiet(),
  '/delivered': (running) => running.delivered(),
  '/watch': (running) => running.watchService(),
  '/ready': () => 'ok',
  '/state': (running) => ({
    connected: running.connected,
    gapMs: Math.round(running.longestGapMs),
    reconnects: running.reconnects,
    resets: running.resets,
    levels: Object.fromEntries(running.levels),
    verdict: running.ledger.verdict(),
    findings: running.ledger.findings().slice(0, 20),
    requests: running.requests(),
  }),
};

const server = createServer(async (request, response) => {
  const action = actions[request.url ?? ''];
  if (action === undefined || load === undefined) {
    response.writeHead(action === undefined ? 404 : 503).end();
    return;
  }
  try {
    response.end(JSON.stringify((await action(load)) ?? {}));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
server.listen(loadPort);
load = await starting;
