"""What Redis does all of or nothing of, in Lua. Values are arguments; KEYS[1] is what its keys begin with."""

from __future__ import annotations

__all__ = ["ADD", "APPEND", "DELETE", "DROP_NOTE", "FORGET", "MATCHING", "STATS", "SUMMARISE", "TRIM"]

# KEYS[2]: the scopes. ARGV: the scope, the conversation, and of each utterance what it is known by, its time, its JSON.
APPEND = """
local scope = KEYS[1]
local context, new = ARGV[2], 0
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('HSETNX', scope .. 'contexts', context, 0)
for i = 3, #ARGV, 3 do
    if ARGV[i] == '' or redis.call('SADD', scope .. 'known:' .. context, ARGV[i]) == 1 then
        local place = redis.call('HINCRBY', scope .. 'contexts', context, 1)
        redis.call('ZADD', scope .. 'said:' .. context, place, place .. ':' .. ARGV[i + 2])
        redis.call('ZADD', scope .. 'ages', ARGV[i + 1], 'u' .. place .. ':' .. context)
        new = new + 1
    end
end
return new
"""

# KEYS[2]: the scopes. ARGV: the scope, the conversation, what is covered, the text.
SUMMARISE = """
local there = redis.call('HGET', KEYS[1] .. 'summaries', ARGV[2])
if not there or tonumber(there:match('^%d+')) <= tonumber(ARGV[3]) then
    redis.call('ZADD', KEYS[2], 0, ARGV[1])
    redis.call('HSETNX', KEYS[1] .. 'contexts', ARGV[2], 0)
    redis.call('HSET', KEYS[1] .. 'summaries', ARGV[2], ARGV[3] .. ':' .. ARGV[4])
end
"""

# Not as a transaction, of which a server that is full refuses every part. ARGV: the conversation, the key.
DROP_NOTE = """
local thing = ARGV[1] .. ':' .. ARGV[2]
local gone = redis.call('UNLINK', KEYS[1] .. 'note:' .. thing)
redis.call('ZREM', KEYS[1] .. 'keys:' .. ARGV[1], ARGV[2])
redis.call('ZREM', KEYS[1] .. 'expiring', thing)
return gone
"""

# Removes a record with all that it is found by. Each change has a number, for those who keep copies of vectors.
_DROP = """
local scope = KEYS[1]
local function changed(key)
    -- A server that is full lets a script go on that has begun to remove something, and refuses one that begins to add.
    redis.call('HDEL', scope .. 'records', '')
    return redis.call('INCR', key)
end
local function drop(id, change)
    local found = redis.call('HGET', scope .. 'found', id)
    if not found then return 0 end
    found = cjson.decode(found)
    for term in pairs(found.times) do
        local posting = scope .. 'term:' .. term
        redis.call('HDEL', posting, id)
        if redis.call('EXISTS', posting) == 0 then redis.call('SREM', scope .. 'terms', term) end
    end
    redis.call('HINCRBY', scope .. 'counts', 'words', -found.words)
    if redis.call('HINCRBY', scope .. 'spaces', found.space, -1) == 0 then
        redis.call('HDEL', scope .. 'spaces', found.space)
    end
    if found.space ~= '' then
        redis.call('HDEL', scope .. 'vectors:' .. found.space, id)
        redis.call('ZREM', scope .. 'changed:' .. found.space, id)
        redis.call('HSET', scope .. 'changes', found.space, change)
    end
    for _, kind in ipairs({'found', 'records', 'texts'}) do redis.call('HDEL', scope .. kind, id) end
    redis.call('ZREM', scope .. 'ids', id)
    redis.call('ZREM', scope .. 'ages', 'r' .. id)
    return 1
end
"""

# KEYS[2]: the scopes, KEYS[3]: the number of the last change, KEYS[4]: how long the vectors of a space are.
# ARGV: the scope, and of each record its id, text, metadata, time, what it is found by, and its vector.
ADD = f"""{_DROP}
for i = 2, #ARGV, 6 do
    local space, bytes = cjson.decode(ARGV[i + 4]).space, #ARGV[i + 5]
    if space ~= '' then
        redis.call('HSETNX', KEYS[4], space, bytes / 4)
        local known = redis.call('HGET', KEYS[4], space)
        if known * 4 ~= bytes then return redis.error_reply('DIMENSIONS ' .. known) end
    end
end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
local change = redis.call('INCR', KEYS[3])
for i = 2, #ARGV, 6 do
    local id = ARGV[i]
    drop(id, change)
    local found = cjson.decode(ARGV[i + 4])
    for term, times in pairs(found.times) do
        redis.call('HSET', scope .. 'term:' .. term, id, string.format('%.0f', times * 1048576 + found.words))
        redis.call('SADD', scope .. 'terms', term)
    end
    redis.call('HINCRBY', scope .. 'counts', 'words', found.words)
    redis.call('HINCRBY', scope .. 'spaces', found.space, 1)
    if found.space ~= '' then
        redis.call('HSET', scope .. 'vectors:' .. found.space, id, ARGV[i + 5])
        redis.call('ZADD', scope .. 'changed:' .. found.space, change, id)
        redis.call('HSET', scope .. 'changes', found.space, change)
    end
    redis.call('HSET', scope .. 'texts', id, ARGV[i + 1])
    redis.call('HSET', scope .. 'records', id, ARGV[i + 2])
    redis.call('HSET', scope .. 'found', id, ARGV[i + 4])
    redis.call('ZADD', scope .. 'ids', 0, id)
    redis.call('ZADD', scope .. 'ages', ARGV[i + 3], 'r' .. id)
end
"""

# KEYS[2]: the number of the last change. ARGV: ids.
DELETE = f"""{_DROP}
local change, gone = changed(KEYS[2]), 0
for _, id in ipairs(ARGV) do gone = gone + drop(id, change) end
return gone
"""

# ARGV: how many are wanted, and the words. Okapi BM25 with k1 = 1.2 and b = 0.75; gives ids and scores, best first.
MATCHING = """
local scope = KEYS[1]
local total = redis.call('HLEN', scope .. 'records')
if total == 0 then return {} end
local average = math.max(1, redis.call('HGET', scope .. 'counts', 'words') / total)
local scores, ids = {}, {}
for i = 2, #ARGV do
    local posting = redis.call('HGETALL', scope .. 'term:' .. ARGV[i])
    local holding = #posting / 2
    local rarity = math.log(1 + (total - holding + 0.5) / (holding + 0.5)) * 2.2
    for j = 1, #posting, 2 do
        local id, packed = posting[j], tonumber(posting[j + 1])
        local words = packed % 1048576
        local times = (packed - words) / 1048576
        local score = rarity * times / (times + 1.2 * (0.25 + 0.75 * words / average))
        if scores[id] then
            scores[id] = scores[id] + score
        else
            scores[id], ids[#ids + 1] = score, id
        end
    end
end
table.sort(ids, function(a, b)
    if scores[a] == scores[b] then return a < b end
    return scores[a] > scores[b]
end)
local best = {}
for i = 1, math.min(#ids, tonumber(ARGV[1])) do
    best[2 * i - 1], best[2 * i] = ids[i], string.format('%.17g', scores[ids[i]])
end
return best
"""

# KEYS[2]: the scopes. ARGV: the scope. Gives how many things there were.
FORGET = """
local scope, gone = KEYS[1], 0
for _, context in ipairs(redis.call('HKEYS', scope .. 'contexts')) do
    gone = gone + redis.call('ZCARD', scope .. 'said:' .. context)
    redis.call('UNLINK', scope .. 'said:' .. context, scope .. 'known:' .. context)
end
for _, context in ipairs(redis.call('SMEMBERS', scope .. 'noted')) do
    for _, key in ipairs(redis.call('ZRANGE', scope .. 'keys:' .. context, 0, -1)) do
        gone = gone + redis.call('UNLINK', scope .. 'note:' .. context .. ':' .. key)
    end
    redis.call('UNLINK', scope .. 'keys:' .. context)
end
gone = gone + redis.call('HLEN', scope .. 'records')
for _, term in ipairs(redis.call('SMEMBERS', scope .. 'terms')) do redis.call('UNLINK', scope .. 'term:' .. term) end
for _, space in ipairs(redis.call('HKEYS', scope .. 'changes')) do
    redis.call('UNLINK', scope .. 'vectors:' .. space, scope .. 'changed:' .. space)
end
for _, kind in ipairs({
    'contexts', 'summaries', 'ages', 'noted', 'expiring', 'terms', 'changes', 'counts', 'spaces', 'records', 'texts',
    'found', 'ids'
}) do redis.call('UNLINK', scope .. kind) end
redis.call('ZREM', KEYS[2], ARGV[1])
return gone
"""

# KEYS[2]: the number of the last change. ARGV: what is older goes, what has expired by then goes, how many at most.
TRIM = f"""{_DROP}
local change = changed(KEYS[2])
local old = redis.call('ZRANGEBYSCORE', scope .. 'ages', '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[3])
for _, thing in ipairs(old) do
    if thing:sub(1, 1) == 'r' then
        drop(thing:sub(2), change)
    else
        local place, context = thing:match('^u(%d+):(.*)$')
        redis.call('ZREMRANGEBYSCORE', scope .. 'said:' .. context, place, place)
        redis.call('ZREM', scope .. 'ages', thing)
    end
end
local expired = redis.call('ZRANGEBYSCORE', scope .. 'expiring', '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, thing in ipairs(expired) do
    local context, key = thing:match('^([^:]*):(.*)$')
    redis.call('UNLINK', scope .. 'note:' .. thing)
    redis.call('ZREM', scope .. 'keys:' .. context, key)
    redis.call('ZREM', scope .. 'expiring', thing)
end
return #old + #expired
"""

# Gives conversations, utterances, notes, and the records of each space.
STATS = """
local scope, said, notes = KEYS[1], 0, 0
local contexts = redis.call('HKEYS', scope .. 'contexts')
for _, context in ipairs(contexts) do said = said + redis.call('ZCARD', scope .. 'said:' .. context) end
for _, context in ipairs(redis.call('SMEMBERS', scope .. 'noted')) do
    for _, key in ipairs(redis.call('ZRANGE', scope .. 'keys:' .. context, 0, -1)) do
        notes = notes + redis.call('EXISTS', scope .. 'note:' .. context .. ':' .. key)
    end
end
return {#contexts, said, notes, redis.call('HGETALL', scope .. 'spaces')}
"""
