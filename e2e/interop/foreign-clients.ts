import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Child, runChild } from '../../bench/lib/child.ts';
import { cacheFolder, installPython, repositoryFolder } from '../../bench/lib/toolchain.ts';

/** One line of a foreign client's report. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail?: string;
}

/** Runs a foreign client to its end and returns its checks; a client that prints no report is one failed check. */
export async function checksOf(command: string, args: readonly string[], env = process.env): Promise<readonly Check[]> {
  const client = await Child.start(command, args, { env });
  const code = await client.ended;
  try {
    const report = JSON.parse(client.output) as { ok: boolean; checks: readonly Check[] };
    if (report.checks.length > 0 && report.ok === (code === 0)) return report.checks;
  } catch {
    // Not a report: what it printed is the failure.
  }
  return [{ name: `${client.name} ended with ${code}`, ok: false, detail: client.output }];
}

/** The checks that failed, with their reasons. */
export function failed(checks: readonly Check[]): readonly Check[] {
  return checks.filter((check) => !check.ok);
}

/** Installs what the Python client needs and generates its messages. @returns the environment to run it in. */
export async function preparePython(): Promise<NodeJS.ProcessEnv> {
  const packages = await installPython(join(import.meta.dirname, 'python', 'requirements.txt'), process.env);
  const generated = join(cacheFolder(process.env), 'python-generated');
  mkdirSync(generated, { recursive: true });
  const env = { ...process.env, PYTHONPATH: `${packages}:${generated}`, PYTHONDONTWRITEBYTECODE: '1' };
  const proto = join(repositoryFolder, 'proto');
  await runChild('python3', ['-m', 'grpc_tools.protoc', '-I', proto, `--python_out=${generated}`, 'message.proto'], {
    env,
  });
  return env;
}
