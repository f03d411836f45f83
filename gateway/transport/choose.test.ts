import { describe, expect, it } from 'vitest';
import { chooseTransport, type Machine } from './choose.ts';
import { TransportUnavailableError } from './native.ts';

const machine = (built: boolean, canBuild: boolean): Machine => ({
  loadAddon: () => {
    if (!built) throw new TransportUnavailableError('the quinn transport is not built (run: make build): no such file');
  },
  canBuildAddon: () => canBuild,
});

describe('the choice of a transport', () => {
  it.each([
    { wanted: 'auto', built: true, canBuild: false, kind: 'quinn' },
    { wanted: 'quinn', built: true, canBuild: true, kind: 'quinn' },
    { wanted: 'auto', built: false, canBuild: false, kind: 'quiche', warning: /for development.*not built.*cargo/ },
    { wanted: 'quiche', built: true, canBuild: true, kind: 'quiche', warning: /for development.*by name/ },
  ] as const)('$wanted, built: $built, can build: $canBuild', ({ wanted, built, canBuild, kind, ...rest }) => {
    const chosen = chooseTransport(wanted, machine(built, canBuild));
    expect(chosen.kind).toBe(kind);
    if ('warning' in rest) expect(chosen.warning).toMatch(rest.warning);
    else expect(chosen.warning).toBeUndefined();
  });

  it('asks for a build where one is possible, instead of serving with less', () => {
    expect(() => chooseTransport('auto', machine(false, true))).toThrow(/make build.*--transport=quiche/);
    expect(() => chooseTransport('quinn', machine(false, false))).toThrow(TransportUnavailableError);
  });
});
