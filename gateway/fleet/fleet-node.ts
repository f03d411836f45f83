import type { ForwardCall, ForwardResult } from '../../proto/gen/fleet.ts';
import {
  type BroadcastPushRequest,
  type BroadcastPushResponse,
  type GroupPushRequest,
  PushLevel,
  PushStatus,
  type UnicastPushRequest,
  type UnicastPushResponse,
} from '../../proto/gen/upstream.ts';
import { errorOf } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { Announcer } from './announcer.ts';
import { combine, pairResult } from './broadcast-result.ts';
import { bytesOf, forwardCall, isRepeatable, type ProducerNumber } from './calls.ts';
import type { Directory } from './directory.ts';
import type { Fleet } from './fleet.ts';
import type { FleetPair } from './fleet-map.ts';
import type { Forwarder } from './forwarder.ts';
import type { ForwardOutcome } from './pair-link.ts';
import { pairOfSession } from './session-id.ts';

/** Longer than an owner waits for a client's acknowledgement. */
const ackedTimeoutMs = 32_000;
const retryAfterMs = 500;

export interface FleetNodeOptions {
  readonly fleet: Fleet;
  readonly forwarder: Forwarder;
  readonly directory: Directory;
  readonly announcer: Announcer;
  readonly timeoutMs: number;
  /** Carries a call out at this gateway, as if another had forwarded it. */
  readonly local: (call: ForwardCall, done: (result: ForwardResult) => void) => void;
}

/** One gateway as a member of its fleet: who belongs where, and how to get there in one hop. */
export class FleetNode {
  readonly fleet: Fleet;
  readonly directory: Directory;
  readonly #announcer: Announcer;
  #forwarder: Forwarder;
  #timeoutMs: number;
  #local: FleetNodeOptions['local'];

  constructor({ fleet, forwarder, directory, announcer, timeoutMs, local }: FleetNodeOptions) {
    this.#announcer = announcer;
    this.fleet = fleet;
    this.directory = directory;
    this.#forwarder = forwarder;
    this.#timeoutMs = timeoutMs;
    this.#local = local;
    fleet.onMap(() => forwarder.setPairs(fleet.otherPairs()));
  }

  /** Where zones find all gateways of the fleet, this pair's first. */
  get zoneEndpoints(): readonly string[] {
    const own = this.fleet.map?.pair(this.fleet.pairId)?.zoneEndpoints ?? [];
    return [...own, ...this.fleet.otherPairs().flatMap(({ zoneEndpoints }) => zoneEndpoints)];
  }

  /**
   * Decides where a user without a session here starts one.
   * @param decided called with the other pair, or undefined for here; at once when it needs no question.
   */
  place(openid: string, decided: (elsewhere: FleetPair | undefined) => void): void {
    const owner = this.fleet.ownerElsewhere(openid);
    const others = this.#othersOf(openid);
    // Its owner knows best, unless the directory does.
    if (this.directory.kind === 'memory' && (owner !== undefined || others.length === 0)) return decided(owner);
    this.#locate(openid, owner === undefined ? others : []).then((found) => decided(found ?? owner));
  }

  /** Another pair that has a session of this user now. */
  async #locate(openid: string, others: readonly string[]): Promise<FleetPair | undefined> {
    const known = (await this.directory.find([openid]))?.get(openid);
    const recorded = known === undefined ? undefined : this.fleet.otherPair(known);
    const asked = recorded === undefined ? others : [recorded.id];
    const value = { openids: [openid], counts: false };
    for (const pairId of asked) {
      const outcome = await this.ask(pairId, forwardCall({ $case: 'presence', value }));
      // What is recorded stands while its pair is silent: it may be taking over.
      if (typeof outcome === 'string' && recorded !== undefined) return recorded;
      if (typeof outcome === 'string' || outcome.result?.$case !== 'presence') continue;
      if (outcome.result.value.users.some(({ online }) => online)) return this.fleet.otherPair(pairId);
    }
    return undefined;
  }

  #othersOf(openid: string): string[] {
    return this.fleet.placesOf(openid).filter((id) => id !== this.fleet.pairId);
  }

  /**
   * Sends a push to wherever its session is; to be asked when that is not here.
   * @returns false when this gateway is the one to judge it.
   */
  unicast(
    request: UnicastPushRequest,
    producer: ProducerNumber,
    done: (response: UnicastPushResponse) => void,
  ): boolean {
    const { openid, sessionId } = request;
    const named = openid === '' ? pairOfSession(sessionId) : '';
    const places = openid === '' ? [named] : this.fleet.placesOf(openid);
    const others = places.filter((id) => this.fleet.otherPair(id) !== undefined);
    const last = others.includes(places[0] ?? '') ? places[0] : undefined;
    const mayBeRecorded = openid !== '' && this.directory.kind === 'redis';
    if (others.length === 0 && !mayBeRecorded) return false;
    const call = (probe: boolean) => forwardCall({ $case: 'unicast', value: request }, producer, probe);
    let doubt = false;
    const finish = (outcome: ForwardOutcome) => {
      // Not there, but one that may have it could not be asked: nobody may be told that there is no session.
      done(unicastResponse(request, doubt && isMiss(outcome) ? 'unreachable' : outcome));
    };
    const timeoutMs = request.level === PushLevel.PUSH_LEVEL_ACKED ? ackedTimeoutMs : this.#timeoutMs;
    const lastly = () => {
      if (last === undefined) this.#local(call(false), finish);
      else this.send(last, call(false), finish, timeoutMs);
    };
    if (others.length === 1 && last !== undefined && !mayBeRecorded) {
      lastly();
      return true;
    }
    const probe = (left: readonly string[], recordedIsAsked: boolean): void => {
      const [next, ...rest] = left;
      if (next !== undefined) {
        return this.send(
          next,
          call(true),
          (outcome) => {
            doubt ||= outcome === 'unreachable';
            if (isMiss(outcome)) probe(rest, recordedIsAsked);
            else finish(outcome);
          },
          timeoutMs,
        );
      }
      if (recordedIsAsked) return lastly();
      void this.directory.find([openid]).then((found) => {
        const pairId = found?.get(openid) ?? '';
        probe(this.fleet.otherPair(pairId) === undefined || others.includes(pairId) ? [] : [pairId], true);
      });
    };
    probe(others, !mayBeRecorded);
    return true;
  }

  /** Sends a broadcast, or a push to a group, to every pair once. */
  toAll(
    call: { $case: 'broadcast'; value: BroadcastPushRequest } | { $case: 'group'; value: GroupPushRequest },
    producer: ProducerNumber,
    done: (response: BroadcastPushResponse) => void,
  ): void {
    const forwarded = forwardCall(call, producer);
    const others = this.fleet.otherPairs();
    const results = [pairResult(this.fleet.pairId, 'unknown'), ...others.map(({ id }) => pairResult(id, 'unknown'))];
    let left = results.length;
    const answered = (index: number, pairId: string) => (outcome: ForwardOutcome) => {
      results[index] = pairResult(pairId, outcome);
      left -= 1;
      const [own] = results;
      if (left === 0 && own !== undefined) done(combine(call.value.pushId, own, results));
    };
    this.#local(forwarded, answered(0, this.fleet.pairId));
    others.forEach(({ id }, index) => {
      this.send(id, forwarded, answered(index + 1, id));
    });
  }

  /** Sends a call to one pair, this one included. */
  send(
    pairId: string,
    call: ForwardCall,
    done: (outcome: ForwardOutcome) => void,
    timeoutMs: number = this.#timeoutMs,
  ): void {
    if (pairId === this.fleet.pairId) return this.#local(call, done);
    this.#forwarder.call(pairId, call, { timeoutMs, repeatable: isRepeatable(call), bytes: bytesOf(call), done });
  }

  ask(pairId: string, call: ForwardCall, timeoutMs: number = this.#timeoutMs): Promise<ForwardOutcome> {
    return new Promise((resolve) => this.send(pairId, call, resolve, timeoutMs));
  }

  /** @param fresh the user proved who it is, and did not just resume. */
  sessionStarted(openid: string, sessionId: string, fresh: boolean, loginGeneration?: number): void {
    this.#announcer.started(openid, sessionId, fresh, loginGeneration ?? 0);
  }

  sessionEnded(sessionId: string): void {
    this.#announcer.ended(sessionId);
  }

  /** This gateway leads its shard now, or does no more: what it announces is another set. */
  roleChanged(): void {
    this.#announcer.announceAll();
  }

  close(): void {
    this.#announcer.close();
    this.#forwarder.close();
    this.directory.close();
  }
}

/** The session is not there, and nothing was done. */
function isMiss(outcome: ForwardOutcome): boolean {
  if (typeof outcome === 'string') return outcome === 'unreachable';
  return outcome.result?.$case === 'unicast' && outcome.result.value.status === PushStatus.PUSH_STATUS_NO_SESSION;
}

function unicastResponse(request: UnicastPushRequest, outcome: ForwardOutcome): UnicastPushResponse {
  if (typeof outcome !== 'string' && outcome.result?.$case === 'unicast') return outcome.result.value;
  const unknown = outcome === 'unknown' || typeof outcome !== 'string';
  const message = unknown
    ? 'the pair of this session did not say in time what became of it'
    : 'the pair of this session is not reachable: nothing was done';
  return {
    status: unknown ? PushStatus.PUSH_STATUS_UNKNOWN : PushStatus.PUSH_STATUS_OVERLOADED,
    seqId: 0n,
    epoch: 0n,
    level: PushLevel.PUSH_LEVEL_UNSPECIFIED,
    error: errorOf({ code: ErrorCode.ERROR_TRY_LATER, message, retryAfterMs: unknown ? 0 : retryAfterMs }),
    pushId: request.pushId,
    shardId: '',
    history: '',
  };
}
