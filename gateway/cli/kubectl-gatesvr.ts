#!/usr/bin/env node
/** As a program on the PATH: `kubectl gatesvr`. */
import { main } from './kubectl-command.ts';

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`kubectl gatesvr: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
