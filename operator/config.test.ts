import { describe, expect, it } from 'vitest';
import { operatorConfigHelp, readOperatorConfig } from './config.ts';
import { version } from './lib/version.ts';

describe('configuration', () => {
  it('has defaults', () => {
    expect(readOperatorConfig([], {})).toEqual({
      namespaces: [],
      leaderElect: true,
      leaseName: 'gatesvr-operator',
      leaseNamespace: '',
      healthAddr: { host: '', port: 8080 },
      metricsAddr: { host: '', port: 9090 },
      gatewayImage: `gatesvr/gateway:${version}`,
      workers: 16,
      logLevel: 'info',
      kubeconfig: undefined,
      context: undefined,
    });
  });

  it('takes flags over the environment over defaults', () => {
    const env = { GATESVR_OPERATOR_LOG_LEVEL: 'warn', GATESVR_OPERATOR_WORKERS: '4', GATESVR_OPERATOR_LEASE_NAME: '' };
    const config = readOperatorConfig(
      ['--workers', '8', '--namespace=a,b,a', '--metrics-addr=', '--leader-elect'],
      env,
    );
    expect(config).toMatchObject({ workers: 8, logLevel: 'warn', namespaces: ['a', 'b'], metricsAddr: undefined });
    expect(config).toMatchObject({ leaderElect: true, leaseName: 'gatesvr-operator' });
  });

  it.each([
    ['--leader-elect=false', { leaderElect: false }],
    ['--leader-elect false', { leaderElect: false }],
    ['--health-addr [::1]:80', { healthAddr: { host: '::1', port: 80 } }],
    ['--health-addr 127.0.0.1:0', { healthAddr: { host: '127.0.0.1', port: 0 } }],
    ['--kubeconfig /k --context c', { kubeconfig: '/k', context: 'c' }],
  ])('reads %s', (flags, expected) => {
    expect(readOperatorConfig(flags.split(' '), {})).toMatchObject(expected);
  });

  it.each([
    ['--wrokers=1', /^--wrokers=1: unknown flag: expected --namespaces, --leader-elect, /],
    ['stray', /^stray: unknown flag/],
    ['--workers=0', /^--workers: 0: expected a number from 1 to 256$/],
    ['--workers', /^--workers: no value: expected a number from 1 to 256$/],
    ['--leader-elect=yes', /^--leader-elect: yes: expected true or false$/],
    ['--namespaces=a,B', /^--namespaces: a,B: expected names of namespaces, by comma$/],
    ['--health-addr=8080', /^--health-addr: 8080: expected HOST:PORT or :PORT$/],
    ['--health-addr=:80800', /^--health-addr: :80800: expected HOST:PORT or :PORT$/],
    ['--log-level=loud', /^--log-level: loud: expected trace, debug, info, warn, error$/],
  ])('refuses %s', (flag, message) => {
    expect(() => readOperatorConfig([flag], {})).toThrow(message);
  });

  it('tells all problems at once, with where they come from', () => {
    const read = () => readOperatorConfig(['--workers=x'], { GATESVR_OPERATOR_LOG_LEVEL: 'y' });
    expect(read).toThrow(
      '--workers: x: expected a number from 1 to 256\nGATESVR_OPERATOR_LOG_LEVEL: y: expected trace, debug, info, warn, error',
    );
  });

  it('explains every flag', () => {
    expect(operatorConfigHelp()).toContain('--lease-name NAME');
    expect(operatorConfigHelp()).toContain('(default :8080)');
    expect(
      operatorConfigHelp()
        .split('\n')
        .every((line) => line.length <= 120),
    ).toBe(true);
  });
});
