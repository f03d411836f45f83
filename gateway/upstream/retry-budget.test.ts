import { describe, expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.ts';

describe('RetryBudget', () => {
  it('lets a share of requests be retries, after what was saved up', () => {
    const budget = new RetryBudget(0.1, 5);
    let retries = 0;
    for (let count = 0; count < 1_000; count += 1) {
      budget.earn();
      if (budget.spend()) retries += 1;
    }
    expect(retries).toBeGreaterThanOrEqual(100);
    expect(retries).toBeLessThanOrEqual(105);
  });

  it('saves up no more than its maximum', () => {
    const budget = new RetryBudget(0.1, 2);
    for (let count = 0; count < 1_000; count += 1) budget.earn();
    expect([budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, false]);
  });
});
