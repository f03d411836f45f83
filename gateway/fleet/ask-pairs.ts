import type { ForwardCall, ForwardResult } from '../../proto/gen/fleet.ts';
import type {
  GroupMembersRequest,
  GroupMembersResponse,
  PresenceRequest,
  PresenceResponse,
} from '../../proto/gen/upstream.ts';
import { errorOf } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { forwardCall } from './calls.ts';
import type { FleetNode } from './fleet-node.ts';
import { pairOfSession } from './session-id.ts';

type Result = NonNullable<ForwardResult['result']>;
type PairPresence = PresenceResponse['pairs'][number];

/** What one pair is asked about, and what it says it does not have. */
interface Question {
  readonly openids: string[];
  readonly sessionIds: string[];
}

interface RoundsOptions {
  readonly call: (question: Question) => ForwardCall;
  /** @returns what this pair does not have. */
  readonly take: (pairId: string, result: Result) => readonly string[];
  readonly failed: (pairId: string, question: Question) => void;
}

/** Asks each user's likeliest pair, then for those it does not have the next one, then where the directory says. */
async function askInRounds(
  node: FleetNode,
  openids: readonly string[],
  sessionIds: readonly string[],
  options: RoundsOptions,
): Promise<readonly string[]> {
  const places = new Map(openids.map((openid) => [openid, [...node.fleet.placesOf(openid)]]));
  let names = [...openids];
  let sessions = [...sessionIds];
  let recorded = false;
  const missing: string[] = [];
  while (names.length > 0 || sessions.length > 0) {
    const questions = new Map<string, Question>();
    const homeless: string[] = [];
    for (const openid of names) {
      const pairId = places.get(openid)?.shift();
      if (pairId === undefined) homeless.push(openid);
      else questionOf(questions, pairId).openids.push(openid);
    }
    for (const id of sessions) questionOf(questions, pairOfSession(id) || node.fleet.pairId).sessionIds.push(id);
    sessions = [];
    names = [];
    for (const left of await Promise.all([...questions].map((entry) => askOne(node, entry, options)))) {
      for (const name of left) (places.has(name) ? names : missing).push(name);
    }
    if (homeless.length === 0) continue;
    const found = recorded ? undefined : await node.directory.find(homeless);
    recorded = true;
    for (const openid of homeless) {
      const pairId = found?.get(openid);
      if (pairId === undefined) missing.push(openid);
      else {
        places.set(openid, [pairId]);
        names.push(openid);
      }
    }
  }
  return missing;
}

function questionOf(questions: Map<string, Question>, pairId: string): Question {
  const question = questions.get(pairId) ?? { openids: [], sessionIds: [] };
  questions.set(pairId, question);
  return question;
}

async function askOne(
  node: FleetNode,
  [pairId, question]: readonly [string, Question],
  options: RoundsOptions,
): Promise<readonly string[]> {
  const outcome = await node.ask(pairId, options.call(question));
  if (typeof outcome !== 'string' && outcome.result !== undefined) return options.take(pairId, outcome.result);
  options.failed(pairId, question);
  return [...question.openids, ...question.sessionIds];
}

/** Puts sessions into a group, or takes them out, wherever they are. */
export async function changeMembers(
  node: FleetNode,
  kind: 'join' | 'leave',
  request: GroupMembersRequest,
): Promise<GroupMembersResponse> {
  const { group } = request;
  let changed = 0;
  let error: GroupMembersResponse['error'];
  const missing = await askInRounds(node, request.openids, request.sessionIds, {
    call: (question) => forwardCall({ $case: kind, value: { group, ...question } }),
    take: (_pairId, result) => {
      if (result.$case !== 'members') return [];
      changed += result.value.changed;
      error ??= result.value.error;
      return result.value.missing;
    },
    failed: (pairId) => {
      const message = `pair ${pairId} did not answer: whether its sessions are in the group is not known`;
      error ??= errorOf({ code: ErrorCode.ERROR_TRY_LATER, message, retryAfterMs: 500 });
    },
  });
  return { success: error === undefined, error, changed, missing: [...missing] };
}

/** Who is online, and where; with `counts` also how many each pair has. */
export async function askPresence(node: FleetNode, request: PresenceRequest): Promise<PresenceResponse> {
  const users: PresenceResponse['users'] = [];
  let complete = true;
  const missing = await askInRounds(node, request.openids, [], {
    call: ({ openids }) => forwardCall({ $case: 'presence', value: { openids, counts: false } }),
    take: (_pairId, result) => {
      if (result.$case !== 'presence') return [];
      const [here, gone] = [result.value.users.filter(({ online }) => online), result.value.users];
      users.push(...here);
      return gone.filter(({ online }) => !online).map(({ openid }) => openid);
    },
    failed: () => {
      complete = false;
    },
  });
  for (const openid of missing) users.push({ openid, online: false, connected: false, pairId: '', sessionId: '' });
  const pairs = request.counts ? await countPairs(node) : [];
  return { users, pairs, complete: complete && pairs.every(({ reachable }) => reachable) };
}

function countPairs(node: FleetNode): Promise<PairPresence[]> {
  const ids = [node.fleet.pairId, ...node.fleet.otherPairs().map(({ id }) => id)];
  const call = forwardCall({ $case: 'presence', value: { openids: [], counts: true } });
  return Promise.all(
    ids.map(async (pairId) => {
      const outcome = await node.ask(pairId, call);
      const none = { pairId, reachable: false, sessions: 0, connected: 0 };
      if (typeof outcome === 'string' || outcome.result?.$case !== 'presence') return none;
      return outcome.result.value.pairs[0] ?? none;
    }),
  );
}
