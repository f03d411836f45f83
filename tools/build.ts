/** Compiles the sources to dist/ and puts beside them the files that are read as they are. */
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

process.chdir(new URL('../', import.meta.url).pathname);
rmSync('dist', { recursive: true, force: true });
const compiled = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
for (const name of ['console.html', 'console.css', 'console.js']) {
  cpSync(`gateway/servers/console/${name}`, `dist/gateway/servers/console/${name}`);
}
cpSync('gateway/transport/native/gatesvr-transport.node', 'dist/gateway/transport/native/gatesvr-transport.node');
