/** Compiles the sources to dist/ and puts beside them the files that are read as they are. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';

process.chdir(new URL('../', import.meta.url).pathname);
rmSync('dist', { recursive: true, force: true });
const compiled = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
for (const name of ['console.html', 'console.css', 'console.js']) {
  cpSync(`gateway/servers/console/${name}`, `dist/gateway/servers/console/${name}`);
}
// The operator's image is built without the addon's sources, and a machine without cargo has none.
const native = 'gateway/transport/native';
const addon = `${native}/gatesvr-transport.node`;
if (existsSync(addon)) cpSync(addon, `dist/${addon}`);
else if (existsSync(native))
  process.stderr.write('warning: dist/ has no transport addon: it serves for development only\n');
