import { arbiterSteps, worldSteps } from './arbiter-steps.ts';
import { clientSteps, isServing, violationOf } from './client-steps.ts';
import { replicationSteps } from './replication-steps.ts';
import type { ModelBounds } from './rules.ts';
import { initialState, type State, violations } from './state.ts';

export interface SearchResult {
  readonly states: number;
  /** Undefined when nothing is wrong; otherwise what, and the shortest way there. */
  readonly counterexample: { readonly what: string; readonly steps: readonly string[] } | undefined;
}

interface NamedStep {
  readonly name: string;
  readonly take: (state: State, bounds: ModelBounds) => State | undefined;
}

const names = ['A', 'B'] as const;
const steps: readonly NamedStep[] = [
  ...[...replicationSteps, ...arbiterSteps, ...clientSteps].flatMap(([name, step]) =>
    names.map((letter, n) => ({
      name: `${letter}: ${name}`,
      take: (state: State, bounds: ModelBounds) => step(state, n, bounds),
    })),
  ),
  ...worldSteps.map(([name, step]) => ({
    name,
    take: (state: State, bounds: ModelBounds) => step(state, 0, bounds),
  })),
];

/** A list of 32-bit integers that grows without copying itself into JavaScript numbers. */
class IntList {
  length = 0;
  #items = new Int32Array(1 << 16);

  push(value: number): void {
    if (this.length === this.#items.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[this.length] = value;
    this.length += 1;
  }

  at(index: number): number {
    return this.#items[index] ?? 0;
  }
}

function keyOf(state: State): string {
  return Buffer.from(state.buffer, state.byteOffset, state.length).toString('latin1');
}

/** Every state within the bounds, breadth first, with who came from where. */
class StateGraph {
  readonly states: State[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #parents = new IntList();
  readonly #stepTaken = new IntList();
  readonly from = new IntList();
  readonly to = new IntList();

  /** @returns the state's number, or -1 when it was known already (then only the edge is kept). */
  add(state: State, parent: number, step: number): number {
    const key = keyOf(state);
    const known = this.#numbers.get(key);
    const number = known ?? this.states.length;
    if (parent >= 0) {
      this.from.push(parent);
      this.to.push(number);
    }
    if (known !== undefined) return -1;
    this.#numbers.set(key, number);
    this.states.push(state);
    this.#parents.push(parent);
    this.#stepTaken.push(step);
    return number;
  }

  pathTo(number: number): string[] {
    const path: string[] = [];
    for (let at = number; this.#parents.at(at) >= 0; at = this.#parents.at(at)) {
      path.push(steps[this.#stepTaken.at(at)]?.name ?? '');
    }
    return path.reverse();
  }
}

/** The first state from which no way leads to service, or -1. */
function firstDeadEnd(graph: StateGraph, bounds: ModelBounds): number {
  const count = graph.states.length;
  const starts = new Int32Array(count + 1);
  for (let i = 0; i < graph.to.length; i += 1) starts[graph.to.at(i) + 1] = (starts[graph.to.at(i) + 1] ?? 0) + 1;
  for (let i = 0; i < count; i += 1) starts[i + 1] = (starts[i + 1] ?? 0) + (starts[i] ?? 0);
  const filled = starts.slice();
  const sources = new Int32Array(graph.from.length);
  for (let i = 0; i < graph.to.length; i += 1) {
    const target = graph.to.at(i);
    const slot = filled[target] ?? 0;
    sources[slot] = graph.from.at(i);
    filled[target] = slot + 1;
  }
  const reaches = new Uint8Array(count);
  const work: number[] = [];
  for (const [number, state] of graph.states.entries()) {
    if (!isServing(state, bounds)) continue;
    reaches[number] = 1;
    work.push(number);
  }
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    for (let i = starts[next] ?? 0; i < (starts[next + 1] ?? 0); i += 1) {
      const source = sources[i] ?? 0;
      if (reaches[source] === 1) continue;
      reaches[source] = 1;
      work.push(source);
    }
  }
  return reaches.indexOf(0);
}

/**
 * Searches every state within the bounds: safety in each, and from each a way back to service.
 * @throws when there are more than `statesMax` states: the bounds are then no bounds.
 */
export function search(bounds: ModelBounds, statesMax = 3_000_000): SearchResult {
  const graph = new StateGraph();
  graph.add(initialState(), -1, 0);
  for (let number = 0; number < graph.states.length; number += 1) {
    const state = graph.states[number] as State;
    for (let s = 0; s < steps.length; s += 1) {
      const next = (steps[s] as NamedStep).take(state, bounds);
      if (next === undefined) continue;
      const added = graph.add(next, number, s);
      if (added < 0) continue;
      const violation = violationOf(next, bounds.standalone);
      if (violation === 0) continue;
      const what = violations[violation] ?? '';
      return { states: graph.states.length, counterexample: { what, steps: graph.pathTo(added) } };
    }
    if (graph.states.length > statesMax) throw new RangeError(`more than ${statesMax} states: tighten the bounds`);
  }
  const deadEnd = firstDeadEnd(graph, bounds);
  if (deadEnd < 0) return { states: graph.states.length, counterexample: undefined };
  const what = 'no way leads back to service';
  return { states: graph.states.length, counterexample: { what, steps: graph.pathTo(deadEnd) } };
}

/** One line a step, for people. */
export function printCounterexample(result: SearchResult): string {
  if (result.counterexample === undefined) return `nothing wrong in ${result.states} states`;
  const lines = result.counterexample.steps.map((step, i) => `${String(i + 1).padStart(3)}. ${step}`);
  return [`${result.counterexample.what}:`, ...lines].join('\n');
}
