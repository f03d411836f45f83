import { runPlugin } from '../../operator/kubectl/run-plugin.ts';

/** The `kubectl` subcommand, and all of kubectl-gatesvr. @returns the exit code */
export function main(argv: readonly string[]): Promise<number> {
  return runPlugin(argv, process.env);
}
