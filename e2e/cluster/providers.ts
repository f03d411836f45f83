import { type Provider, type ProviderName, providerNames } from './cluster.ts';
import { existingProvider } from './existing-provider.ts';
import { kindProvider } from './kind-provider.ts';
import { localProvider } from './local/local-provider.ts';

const providers: Readonly<Record<ProviderName, Provider>> = {
  kind: kindProvider,
  existing: existingProvider,
  local: localProvider,
};

export function providerNamed(name: string): Provider {
  const known = providerNames.find((candidate) => candidate === name);
  if (known === undefined) throw new Error(`GATESVR_E2E_PROVIDER: ${name}: expected ${providerNames.join(', ')}`);
  return providers[known];
}

/**
 * The provider that is asked for, else kind where Docker runs, else a local cluster. A cluster that happens to be in KUBECONFIG
 * is used only when asked for.
 * @throws Error with what is missing, and which provider would work
 */
export async function chooseProvider(asked: string | undefined): Promise<Provider> {
  const reasons = new Map<Provider, string | undefined>();
  for (const provider of Object.values(providers)) reasons.set(provider, await provider.missing());
  const usable = [...reasons].filter(([, reason]) => reason === undefined).map(([provider]) => provider);
  if (asked === undefined || asked === '') {
    const found = usable.find(({ name }) => name !== 'existing');
    if (found !== undefined) return found;
    const { kind, local } = providers;
    throw new Error(`no cluster to test on: ${reasons.get(kind)}; ${reasons.get(local)}`);
  }
  const provider = providerNamed(asked);
  const reason = reasons.get(provider);
  if (reason === undefined) return provider;
  const others = usable.map(({ name }) => `GATESVR_E2E_PROVIDER=${name}`).join(' or ');
  throw new Error(`${reason}${others === '' ? '' : `; ${others} would work`}`);
}
