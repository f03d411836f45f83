import { formatSpread, formatTable, spreadOf } from '../lib/summary.ts';
import type { Run } from './measure.ts';

const thousands = (value: number) => `${(value / 1000).toFixed(1)}k`;
const hundredths = (value: number) => value.toFixed(2);

/** One line a size: both figures and their ratio, run against run, each as least / median / most. */
export function ratioTable(runs: readonly Run[], targets: ReadonlyMap<number, number>): string {
  const sizes = [...new Set(runs.map((one) => one.connections))];
  const rows = sizes.map((connections) => {
    const of = (who: string) => runs.filter((one) => one.connections === connections && one.contestant === who);
    const [ours, peer, quiche] = [of('ours'), of('peer'), of('quiche')];
    const ratios = ours.flatMap((one, round) => {
      const other = peer[round];
      return other === undefined ? [] : [one.value / other.value];
    });
    const spread = (values: readonly number[], format: (value: number) => string) =>
      values.length === 0 ? '-' : formatSpread(spreadOf(values), format);
    return [
      String(connections),
      spread(
        ours.map((one) => one.value),
        thousands,
      ),
      spread(
        peer.map((one) => one.value),
        thousands,
      ),
      spread(ratios, hundredths),
      spread(
        quiche.map((one) => one.value),
        thousands,
      ),
      targets.get(connections)?.toFixed(1) ?? '-',
    ];
  });
  return formatTable(['connections', 'ours', 'quic-go', 'ratio', 'quiche', 'target'], rows);
}
