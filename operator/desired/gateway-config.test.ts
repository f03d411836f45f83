import fc from 'fast-check';
import { expect, it } from 'vitest';
import { loadConfig } from '../../gateway/config.ts';
import { anyGateSvr } from '../testing/any-gatesvr.ts';
import { configMap, limitsConfigMap } from './gateway-config.ts';
import { PodTemplates } from './pod-template.ts';

it('the gateway accepts its configuration in its pod', () => {
  fc.assert(
    fc.property(anyGateSvr, (gateSvr) => {
      const { spec } = new PodTemplates(gateSvr, { defaultImage: 'gatesvr/gateway:1' }).of(0, 'a');
      const [container] = (spec as { containers: { args: string[] }[] }).containers;
      const [command, ...argv] = (container?.args ?? []).map((arg) =>
        arg.replace('$(POD_NAME)', 'shop-p0-a-0').replace('$(POD_NAMESPACE)', 'games').replace('$(POD_UID)', 'uid-1'),
      );
      expect(command).toBe('gateway');
      const files = configMap(gateSvr)['data'] as Record<string, string>;
      const loaded = loadConfig({
        argv,
        env: limitsConfigMap(gateSvr)['data'] as Record<string, string>,
        readFile: (path) => (path === '/etc/gatesvr/config/gatesvr.yaml' ? (files['gatesvr.yaml'] ?? '') : ''),
      });
      expect(loaded.unknownVariables).toEqual([]);
      expect(loaded.config.overloadProtection.maxQps).toBe(gateSvr.spec.overload.maxQps);
      expect(loaded.config.backup).toMatchObject({ enabled: true, arbiter: 'kubernetes', serverId: 'shop-p0-a-0' });
    }),
    { numRuns: 30 },
  );
});
