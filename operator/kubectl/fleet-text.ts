import type { GateSvr, GateSvrStatusPair } from '../api/gatesvr.ts';
import type { Zone } from '../api/zone.ts';

const nothing = '-';

/** Columns as wide as they need to be. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [header, ...rows].map((row) => `${line(row)}\n`).join('');
}

/** 75 s is 1m; more is of no interest to somebody who looks at a fleet. */
export function ageOf(since: string | undefined, nowMs: number): string {
  const seconds = Math.floor((nowMs - Date.parse(since ?? '')) / 1000);
  if (Number.isNaN(seconds)) return nothing;
  if (seconds < 60) return `${Math.max(0, seconds)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** A fleet as a person reads it: what is wrong first, then its pairs and their pods. */
export function fleetText(gateSvr: GateSvr, nowMs: number): string {
  const { metadata, spec, status = {} } = gateSvr;
  const { pairs = [], conditions = [] } = status;
  const head = `${metadata.namespace}/${metadata.name}: ${status.replicas ?? 0} of ${spec.pairs} pairs serve, image ${status.image ?? nothing}\n`;
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(([key]) => key.startsWith('gatesvr.io/'))
    .map(([key, value]) => `  asked for: ${key}=${value}\n`);
  const said = conditions
    .filter(({ type, status: holds }) =>
      type === 'Degraded' || type === 'Progressing' ? holds !== 'False' : holds !== 'True',
    )
    .map(({ type, status: holds, reason, message }) => `  ${type}=${holds} ${reason}: ${message}\n`);
  const rows = pairs.flatMap((pair) => memberRows(pair, nowMs));
  const columns = ['PAIR', 'POD', 'NODE', 'ROLE', 'READY', 'IN SYNC', 'EPOCH', 'VERSION', 'LAST PROMOTION'];
  return `${head}${annotations.join('')}${said.join('')}${table(columns, rows)}`;
}

function memberRows(pair: GateSvrStatusPair, nowMs: number): string[][] {
  const { name, members = [], inSync = [], epoch, lastPromotionTime, lastPromotionReason } = pair;
  return members.map((member, index) => {
    const { pod = nothing, node = nothing, role = 'not heard', ready, incarnation, version = nothing } = member;
    const isInSync = incarnation !== undefined && inSync.includes(incarnation);
    const mark = pod === pair.targetPrimary && pod !== pair.currentPrimary ? ' (to be primary)' : '';
    const promotion = `${lastPromotionReason ?? nothing} ${ageOf(lastPromotionTime, nowMs)} ago`;
    const ofPair = lastPromotionTime === undefined ? nothing : promotion;
    const yesNo = (yes: boolean): string => (yes ? 'yes' : 'no');
    return [
      index === 0 ? name : '',
      pod,
      node,
      `${role}${mark}`,
      yesNo(ready === true),
      yesNo(isInSync),
      index === 0 ? String(epoch ?? nothing) : '',
      version,
      index === 0 ? ofPair : '',
    ];
  });
}

export function zonesText(zones: readonly Zone[]): string {
  const rows = zones
    .map((zone) => {
      const { spec, status = {}, metadata } = zone;
      const troubles = (status.conditions ?? []).filter((each) => each.status === 'False');
      const trouble = troubles.map(({ type, reason, message }) => `${type} ${reason}: ${message}`).join('; ');
      return [metadata.name, spec.gateSvrRef.name, spec.zoneId, status.healthy ?? nothing, trouble];
    })
    .sort((a, b) => `${a[1]}/${a[2]}`.localeCompare(`${b[1]}/${b[2]}`));
  return table(['NAME', 'GATESVR', 'ZONE', 'HEALTHY', 'TROUBLE'], rows);
}
