/** Clients of a fleet: `clients.ts ENDPOINT FIRST COUNT` connects user-FIRST and those after it; says so, and at each line on standard input what came. */
import { createInterface } from 'node:readline';
import { createClientHub } from '../../gateway/client/client.ts';

const connectsAtOnce = 50;
const hubs = 2;

const [endpoint = '', firstText = '0', countText = '0'] = process.argv.slice(2);
const [first, count] = [Number(firstText), Number(countText)];
let received = 0;
const pool = await Promise.all(Array.from({ length: hubs }, () => createClientHub({ trust: { insecure: true } })));
for (let from = 0; from < count; from += connectsAtOnce) {
  const some = Array.from({ length: Math.min(connectsAtOnce, count - from) }, (_, n) => first + from + n);
  await Promise.all(
    some.map((n) =>
      pool[n % hubs]?.connect({
        openid: `user-${n}`,
        endpoints: [endpoint],
        heartbeatTimeoutMs: 60_000,
        onPush: () => {
          received += 1;
        },
      }),
    ),
  );
}
const say = (event: string) => process.stdout.write(`${JSON.stringify({ event, received })}\n`);
say('connected');
createInterface({ input: process.stdin }).on('line', () => say('count'));
