/** Variables by which `make e2e` tells the tests where they run. */
export const clusterVariables = {
  provider: 'GATESVR_E2E_PROVIDER',
  cluster: 'GATESVR_E2E_CLUSTER',
  /** A folder for what is collected of failed tests. */
  results: 'GATESVR_E2E_RESULTS',
} as const;
