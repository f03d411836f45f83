export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** A runner that failed without a failed test counts as one failure, one that ran nothing too. */
function honest(counts: Counts, status: number): Counts {
  const silentFailure = counts.failed === 0 && (status !== 0 || counts.passed === 0);
  return silentFailure ? { ...counts, failed: 1 } : counts;
}

/** @param output what `cargo test` said: one "test result" line for each test binary */
export function countCargo(output: string, status: number): Counts {
  let passed = 0;
  let failed = 0;
  for (const match of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed;/gm)) {
    passed += Number(match[1]);
    failed += Number(match[2]);
  }
  return honest({ passed, failed }, status);
}

/** @param readReport the JSON report of vitest; throws when vitest died before writing it */
export function countVitest(readReport: () => string, status: number): Counts {
  let passed = 0;
  let failed = 0;
  try {
    const report = JSON.parse(readReport());
    passed = Number(report.numPassedTests);
    failed = Number(report.numFailedTests) + Number(report.numPendingTests) + Number(report.numTodoTests);
  } catch {
    return { passed: 0, failed: 1 };
  }
  return honest({ passed, failed }, status);
}
