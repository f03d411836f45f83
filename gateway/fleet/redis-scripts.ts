/**
 * An entry is a hash: p pair, s session, e epoch of its shard, g generation of the login, t when the session was made. It
 * changes only by these scripts, each one step for Redis.
 */

/**
 * KEYS: the entry. ARGV: pair, session, epoch, generation, creation time, ttl in ms, 1 for a login that has just been.
 * Returns whether it was taken, the pair the entry names now, and its generation.
 */
export const claimScript = `
local c = redis.call('HMGET', KEYS[1], 'p', 's', 'e', 'g', 't')
local pair, session, epoch, generation, made, fresh = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[7] == '1'
local known, since = tonumber(c[4] or '0'), tonumber(c[5] or '0')
if c[1] then
  if c[1] == pair then
    if epoch < tonumber(c[3]) then return {0, c[1], known} end
  elseif c[2] == session then
    if not fresh and generation < known then return {0, c[1], known} end
  elseif fresh and generation == 0 then
    if made < since then return {0, c[1], known} end
  elseif generation < known or (generation == known and (made < since or (made == since and session < c[2]))) then
    return {0, c[1], known}
  end
end
if fresh and generation == 0 then generation = known + 1 end
if generation < known then generation = known end
redis.call('HSET', KEYS[1], 'p', pair, 's', session, 'e', ARGV[3], 'g', string.format('%.0f', generation), 't', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {1, pair, generation}
`;

/** KEYS: the entry. ARGV: pair, session. The generation stays until the entry is forgotten. */
export const releaseScript = `
local c = redis.call('HMGET', KEYS[1], 'p', 's')
if c[1] == ARGV[1] and c[2] == ARGV[2] then redis.call('HDEL', KEYS[1], 'p', 's', 'e', 't') end
return 1
`;
