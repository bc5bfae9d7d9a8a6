"""What Redis does all of or nothing of, in Lua. Values are arguments; KEYS[1] is what its keys begin with."""

from __future__ import annotations

__all__ = ["ADD", "APPEND", "DELETE", "DROP_NOTE", "FORGET", "MATCHING", "PUT_NOTE", "STATS", "SUMMARISE", "TRIM"]

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

# Sweeps a little: the value of a note that has expired is gone, and its key is still in the lists of keys.
# KEYS[2]: the scopes. ARGV: the scope, the conversation, the key, the note, when it expires or '', the time.
PUT_NOTE = """
local scope, thing = KEYS[1], ARGV[2] .. ':' .. ARGV[3]
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SADD', scope .. 'noted', ARGV[2])
redis.call('ZADD', scope .. 'keys:' .. ARGV[2], 0, ARGV[3])
if ARGV[5] == '' then
    redis.call('SET', scope .. 'note:' .. thing, ARGV[4])
    redis.call('ZREM', scope .. 'expiring', thing)
else
    redis.call('SET', scope .. 'note:' .. thing, ARGV[4], 'PXAT', ARGV[5])
    redis.call('ZADD', scope .. 'expiring', ARGV[5], thing)
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', scope .. 'expiring', '-inf', ARGV[6], 'LIMIT', 0, 10)) do
    if redis.call('EXISTS', scope .. 'note:' .. old) == 0 then
        local context, key = old:match('^([^:]*):(.*)$')
        redis.call('ZREM', scope .. 'keys:' .. context, key)
        redis.call('ZREM', scope .. 'expiring', old)
    end
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

# Where a record stands among those that have a word: first how much the word says about it, by BM25 among texts of a
# hundred words, in steps, so that the most telling ones can be had without the others; then what its score needs.
_PLACED = """
local function placed(times, words)
    local telling = math.floor(4095 * times / (times + 0.3 + 0.009 * words))
    return string.format('%.0f', (telling * 1048576 + times) * 1048576 + words)
end
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
        redis.call('ZREM', posting, id)
        if redis.call('EXISTS', posting) == 0 then redis.call('SREM', scope .. 'terms', term) end
    end
    for name, entries in pairs(found.fields) do
        local field = scope .. 'field:' .. name
        for _, entry in ipairs(entries) do redis.call('ZREM', field, entry .. '\\0' .. id) end
        if redis.call('EXISTS', field) == 0 then redis.call('SREM', scope .. 'fields', name) end
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
ADD = f"""{_PLACED}{_DROP}
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
        redis.call('ZADD', scope .. 'term:' .. term, placed(times, found.words), id)
        redis.call('SADD', scope .. 'terms', term)
    end
    for name, entries in pairs(found.fields) do
        for _, entry in ipairs(entries) do redis.call('ZADD', scope .. 'field:' .. name, 0, entry .. '\\0' .. id) end
        redis.call('SADD', scope .. 'fields', name)
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

# ARGV: how many are wanted, how many words there are, the words, and the ids that may be found, if not all. Okapi BM25
# with k1 = 1.2 and b = 0.75; gives ids and scores, best first.
#
# Of words that very many have, only those records are looked at that have a rarer one too, and those that the word says
# most about. So a search takes about as long in a large scope; in one of some thousand records nothing is left out.
MATCHING = """
local scope, depth, asked = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local total = redis.call('HLEN', scope .. 'records')
if total == 0 then return {} end
local average = math.max(1, redis.call('HGET', scope .. 'counts', 'words') / total)
local scores, ids, postings = {}, {}, {}
local function put(id)
    if not scores[id] then scores[id], ids[#ids + 1] = 0, id end
end
local function score(id, packed, rarity)
    local words = packed % 1048576
    local times = (packed - words) / 1048576 % 1048576
    scores[id] = scores[id] + rarity * times / (times + 1.2 * (0.25 + 0.75 * words / average))
end
for i = 3, asked + 2 do
    local key = scope .. 'term:' .. ARGV[i]
    local holding = redis.call('ZCARD', key)
    local rarity = math.log(1 + (total - holding + 0.5) / (holding + 0.5)) * 2.2
    if holding > 0 then postings[#postings + 1] = {key = key, holding = holding, rarity = rarity} end
end
table.sort(postings, function(a, b) return a.holding < b.holding end)
for i = asked + 3, #ARGV do put(ARGV[i]) end
local left = #ids > 0 and 0 or math.max(2000, depth)
local among = {}
for _, posting in ipairs(postings) do
    left = left - posting.holding
    if left >= 0 then
        local all = redis.call('ZRANGE', posting.key, 0, -1, 'WITHSCORES')
        for j = 1, #all, 2 do
            put(all[j])
            score(all[j], tonumber(all[j + 1]), posting.rarity)
        end
    else
        among[#among + 1] = posting
    end
end
if #ARGV == asked + 2 then
    for _, posting in ipairs(among) do
        for _, id in ipairs(redis.call('ZRANGE', posting.key, 0, math.max(200, depth) - 1, 'REV')) do put(id) end
    end
end
for _, posting in ipairs(among) do
    for first = 1, #ids, 1000 do
        local packed = redis.call('ZMSCORE', posting.key, unpack(ids, first, math.min(first + 999, #ids)))
        for j, one in ipairs(packed) do
            if one then score(ids[first + j - 1], tonumber(one), posting.rarity) end
        end
    end
end
local sorted, best = {}, {}
for i, id in ipairs(ids) do sorted[i] = scores[id] end
table.sort(sorted)
local least = sorted[math.max(1, #ids - depth + 1)]
for _, id in ipairs(ids) do
    if scores[id] >= least and scores[id] > 0 then best[#best + 1] = id end
end
table.sort(best, function(a, b)
    if scores[a] == scores[b] then return a < b end
    return scores[a] > scores[b]
end)
local given = {}
for i = 1, math.min(#best, depth) do given[i] = {scores[best[i]], best[i]} end
return cjson.encode(given)
"""

# What is read in thousands is given as one text of JSON: a client takes ten times as long for as many answers.
_ABOUT = """
local scope = KEYS[1]
local function about(ids)
    local found = {}
    for first = 1, #ids, 1000 do
        local some = redis.call('HMGET', scope .. 'records', unpack(ids, first, math.min(first + 999, #ids)))
        for i, one in ipairs(some) do found[first + i - 1] = one or 'null' end
    end
    return '[' .. cjson.encode(ids) .. ',[' .. table.concat(found, ',') .. ']]'
end
"""

# ARGV: ids. Gives them, and for each the metadata and time, or null.
ABOUT = f"{_ABOUT}return about(ARGV)"

# ARGV: how many are few, and of each span of a field the number of its condition, the field, the ends. Gives what ABOUT
# gives for the records of the condition that has the fewest, unless these are more than few.
NARROWED = f"""{_ABOUT}
local counts, fewest = {{}}, nil
for i = 2, #ARGV, 4 do
    local condition = ARGV[i]
    local count = redis.call('ZLEXCOUNT', scope .. 'field:' .. ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    counts[condition] = (counts[condition] or 0) + count
end
for condition, count in pairs(counts) do
    if not fewest or count < counts[fewest] then fewest = condition end
end
if counts[fewest] > tonumber(ARGV[1]) then return nil end
local ids, known = {{}}, {{}}
for i = 2, #ARGV, 4 do
    if ARGV[i] == fewest then
        local field = scope .. 'field:' .. ARGV[i + 1]
        for _, entry in ipairs(redis.call('ZRANGEBYLEX', field, ARGV[i + 2], ARGV[i + 3])) do
            local id = entry:sub(entry:find('%z') + 1)
            if not known[id] then ids[#ids + 1], known[id] = id, true end
        end
    end
end
return about(ids)
"""

# ARGV: the space, and the change after which. Gives the ids of vectors that were changed since.
CHANGED = """
return cjson.encode(redis.call('ZRANGEBYSCORE', KEYS[1] .. 'changed:' .. ARGV[1], '(' .. ARGV[2], '+inf'))
"""

# ARGV: the space, and ids. Gives a letter for each, 1 when it is there, and the vectors of those, one behind the other.
VECTORS = """
local vectors, there = {}, {}
for i, vector in ipairs(redis.call('HMGET', KEYS[1] .. 'vectors:' .. ARGV[1], unpack(ARGV, 2))) do
    there[i] = vector and '1' or '0'
    if vector then vectors[#vectors + 1] = vector end
end
return {table.concat(there), table.concat(vectors)}
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
for _, shelf in ipairs(redis.call('ZRANGE', scope .. 'shelves', 0, -1)) do
    gone = gone + redis.call('HLEN', scope .. 'blobs:' .. shelf)
    redis.call('UNLINK', scope .. 'blobs:' .. shelf, scope .. 'blob_keys:' .. shelf)
end
gone = gone + redis.call('HLEN', scope .. 'records')
for _, term in ipairs(redis.call('SMEMBERS', scope .. 'terms')) do redis.call('UNLINK', scope .. 'term:' .. term) end
for _, name in ipairs(redis.call('SMEMBERS', scope .. 'fields')) do redis.call('UNLINK', scope .. 'field:' .. name) end
for _, space in ipairs(redis.call('HKEYS', scope .. 'changes')) do
    redis.call('UNLINK', scope .. 'vectors:' .. space, scope .. 'changed:' .. space)
end
for _, kind in ipairs({
    'contexts', 'summaries', 'ages', 'noted', 'expiring', 'shelves', 'terms', 'changes', 'counts', 'spaces', 'records',
    'texts', 'found', 'ids', 'fields'
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
local shelves, blobs = redis.call('ZRANGEBYSCORE', scope .. 'shelves', '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[3]), 0
for _, shelf in ipairs(shelves) do
    blobs = blobs + redis.call('HLEN', scope .. 'blobs:' .. shelf)
    redis.call('UNLINK', scope .. 'blobs:' .. shelf, scope .. 'blob_keys:' .. shelf)
    redis.call('ZREM', scope .. 'shelves', shelf)
end
return #old + #expired + blobs
"""

# Gives conversations, utterances, notes, blobs, and the records of each space.
STATS = """
local scope, said, notes = KEYS[1], 0, 0
local contexts = redis.call('HKEYS', scope .. 'contexts')
for _, context in ipairs(contexts) do said = said + redis.call('ZCARD', scope .. 'said:' .. context) end
for _, context in ipairs(redis.call('SMEMBERS', scope .. 'noted')) do
    for _, key in ipairs(redis.call('ZRANGE', scope .. 'keys:' .. context, 0, -1)) do
        notes = notes + redis.call('EXISTS', scope .. 'note:' .. context .. ':' .. key)
    end
end
local blobs = 0
for _, shelf in ipairs(redis.call('ZRANGE', scope .. 'shelves', 0, -1)) do
    blobs = blobs + redis.call('HLEN', scope .. 'blobs:' .. shelf)
end
return {#contexts, said, notes, blobs, redis.call('HGETALL', scope .. 'spaces')}
"""

# From form 1 to form 2. ARGV: a word, and how far its records are in order. Gives how far they are then; 0 is the end.
UPGRADE_WORD = f"""{_PLACED}
local key, sorted = KEYS[1] .. 'term:' .. ARGV[1], KEYS[1] .. 'sorted:' .. ARGV[1]
if redis.call('TYPE', key).ok ~= 'hash' then return '0' end
local page = redis.call('HSCAN', key, ARGV[2], 'COUNT', 1000)
for i = 1, #page[2], 2 do
    local packed = tonumber(page[2][i + 1])
    local words = packed % 1048576
    redis.call('ZADD', sorted, placed((packed - words) / 1048576, words), page[2][i])
end
if page[1] == '0' then redis.call('RENAME', sorted, key) end
return page[1]
"""

# ARGV: of each record its id, what it was found by, and what it is found by from now on.
UPGRADE = """
for i = 1, #ARGV, 3 do
    if redis.call('HGET', KEYS[1] .. 'found', ARGV[i]) == ARGV[i + 1] then
        redis.call('HSET', KEYS[1] .. 'found', ARGV[i], ARGV[i + 2])
        for name, entries in pairs(cjson.decode(ARGV[i + 2]).fields) do
            local field = KEYS[1] .. 'field:' .. name
            for _, entry in ipairs(entries) do redis.call('ZADD', field, 0, entry .. '\\0' .. ARGV[i]) end
            redis.call('SADD', KEYS[1] .. 'fields', name)
        end
    end
end
"""
