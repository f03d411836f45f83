/** `make demo-failover`: a pair of gateways, chatting clients, a kill -9 of the primary, and the ledger of what was promised. */
import { otherMember } from '../bench/lib/pair.ts';
import { startWorld } from '../e2e/pair/pair-world.ts';

const clients = 100;
const chatMs = 5_000;

process.chdir(new URL('../', import.meta.url).pathname);

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

say('Starting two gateways that back each other, and six zones …');
const world = await startWorld({ clients, seed: Date.now() });
const { pair, load } = world;
try {
  const primary = await pair.untilInSync();
  const backup = otherMember(primary);
  say(`${primary} is primary, ${backup} its backup, in sync. ${load.connected} clients are connected and chat.`);
  load.run();
  await pause(chatMs);
  const before = load.ledger.verdict();
  say(`So far: ${before.committed} pushes COMMITTED (both gateways have them), ${before.seen} handed to applications.`);

  load.watchService();
  await pair.signal(primary, 'SIGKILL');
  say(`kill -9 of ${primary}, process ${pair.process(primary).pid}.`);
  await pair.untilPrimary(backup);
  await pause(chatMs);
  const gapMs = load.longestGapMs;
  say(`${backup} has taken over; ${load.connected} of ${clients} clients are connected.`);
  await pair.startMember(primary);
  await pair.untilInSync();
  say(`${primary} was started again, and backs ${backup} now.`);
  await pause(chatMs / 2);

  await load.quiet();
  await load.delivered();
  const { committed, degraded, unknown, refused, seen, lost, lostDegraded, repeated, outOfOrder } =
    load.ledger.verdict();
  const requests = load.requests();
  say(`
The ledger
  pushes sent                ${committed + degraded + unknown + refused}
  COMMITTED                  ${committed}
  COMMITTED_DEGRADED         ${degraded}  (while one gateway was alone)
  UNKNOWN                    ${unknown}  (the answer died with the gateway; each is delivered once or not at all)
  delivered                  ${seen}
  lost                       ${lost + lostDegraded}
  repeated                   ${repeated}
  out of order               ${outOfOrder}
  requests asked, answered   ${requests.asked}, ${requests.answered}
  carried out twice          ${requests.carriedOutTwice}
  sessions lost              ${load.resets}
  time without service       ${gapMs.toFixed(0)} ms`);
  const wrong = lost + lostDegraded + repeated + outOfOrder + requests.carriedOutTwice + load.resets;
  process.exitCode = wrong === 0 && requests.asked === requests.answered ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
await world.stop();
process.exit();
