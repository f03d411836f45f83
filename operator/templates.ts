import type { GateSvr } from './api/gatesvr.ts';
import { type DesiredInputs, PodTemplates } from './desired/pod-template.ts';

/** Templates of GateSvrs, worked out once for each version of them. */
export class Templates {
  #inputs: DesiredInputs;
  #made = new WeakMap<GateSvr, PodTemplates>();

  constructor(inputs: DesiredInputs) {
    this.#inputs = inputs;
  }

  of(gateSvr: GateSvr): PodTemplates {
    const made = this.#made.get(gateSvr) ?? new PodTemplates(gateSvr, this.#inputs);
    this.#made.set(gateSvr, made);
    return made;
  }
}
