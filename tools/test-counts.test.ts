import { describe, expect, it } from 'vitest';
import { countCargo, countVitest } from './test-counts.ts';

const cargoOutput = `
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
   Doc-tests gatesvr_transport
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`;

describe('countCargo', () => {
  it('adds up the binaries', () => {
    expect(countCargo(cargoOutput, 101)).toEqual({ passed: 15, failed: 2 });
  });

  it('counts a build that failed, and a run without tests, as a failure', () => {
    expect(countCargo('error: could not compile', 101)).toEqual({ passed: 0, failed: 1 });
    expect(countCargo('', 0)).toEqual({ passed: 0, failed: 1 });
  });
});

describe('countVitest', () => {
  const report = (numbers: object) => () =>
    JSON.stringify({ numPassedTests: 5, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, ...numbers });

  it('counts passed and failed tests', () => {
    expect(countVitest(report({}), 0)).toEqual({ passed: 5, failed: 0 });
    expect(countVitest(report({ numFailedTests: 2 }), 1)).toEqual({ passed: 5, failed: 2 });
  });

  it('counts a test that did not run as failed', () => {
    expect(countVitest(report({ numPendingTests: 1 }), 0)).toEqual({ passed: 5, failed: 1 });
  });

  it('counts an error outside of tests, a run without tests and a missing report as a failure', () => {
    expect(countVitest(report({}), 1)).toEqual({ passed: 5, failed: 1 });
    expect(countVitest(report({ numPassedTests: 0 }), 0)).toEqual({ passed: 0, failed: 1 });
    const missing = () => {
      throw new Error('no such file');
    };
    expect(countVitest(missing, 0)).toEqual({ passed: 0, failed: 1 });
  });
});
