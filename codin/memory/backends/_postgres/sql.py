"""What PostgreSQL is asked. Every value is bound."""

from __future__ import annotations

__all__ = [
    "ADD",
    "APPEND",
    "CONVERSATION",
    "COUNTED",
    "DELETE",
    "DROP_NOTE",
    "FORGET",
    "HELD_OF",
    "HELD_OLD",
    "HELD_ROOM",
    "HELD_ROOM_IF_KNOWN",
    "KEYS",
    "KNOWN",
    "KNOWN_AFTER",
    "LARGE",
    "NEWEST",
    "NEW_SPACE",
    "NOTE",
    "NOTES",
    "OLDEST",
    "PUT_NOTE",
    "ROOM",
    "ROOMS",
    "ROOM_FOR_INDEX",
    "SPACE",
    "SPACES",
    "STATS",
    "SUMMARISE",
    "SUMMARY",
    "TRIM",
    "VALID",
    "create_index",
    "drop_index",
    "index_name",
    "nearest",
    "records",
]

_SCOPE = "scope.tenant = $1 AND scope.agent = $2 AND scope.caller = $3"
_OF = "scope.tenant = $1 AND ($2::text IS NULL OR scope.agent = $2) AND ($3::text IS NULL OR scope.caller = $3)"

# A scope's row is locked before anything of the scope is: who forgets it waits for who writes, and the other way round.
ROOM = f"SELECT id FROM codin_memory.scope WHERE {_SCOPE} FOR KEY SHARE"
HELD_ROOM_IF_KNOWN = f"SELECT id FROM codin_memory.scope WHERE {_SCOPE} FOR NO KEY UPDATE"
HELD_ROOM = """
INSERT INTO codin_memory.scope (tenant, agent, caller) VALUES ($1, $2, $3)
ON CONFLICT (tenant, agent, caller) DO UPDATE SET tenant = excluded.tenant RETURNING id"""

# History. The conversation's row is locked first, so that places rise in the order in which they can be read.

CONVERSATION = """
INSERT INTO codin_memory.conversation (scope, context) VALUES ($1, $2)
ON CONFLICT (scope, context) DO UPDATE SET context = excluded.context RETURNING id"""
APPEND = """
WITH new AS (
    INSERT INTO codin_memory.utterance
    SELECT conversation.id, conversation.last + said.nth,
        said.role, said.text, said.parts::json, said.metadata::json, said.at, said.task_id, said.number, said.index
    FROM codin_memory.conversation,
        unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[])
        WITH ORDINALITY AS said (role, text, parts, metadata, at, task_id, number, index, nth)
    WHERE conversation.id = $1 AND NOT EXISTS (
        SELECT FROM codin_memory.trimmed
        WHERE trimmed.conversation = $1 AND trimmed.task_id = said.task_id AND trimmed.number >= said.number
    )
    ORDER BY said.nth
    ON CONFLICT DO NOTHING
    RETURNING place
), counted AS (
    UPDATE codin_memory.conversation SET last = greatest(last, (SELECT max(place) FROM new)) WHERE id = $1
)
SELECT count(*) FROM new"""
_WINDOW = f"""
SELECT utterance.* FROM codin_memory.utterance
JOIN codin_memory.conversation ON conversation.id = utterance.conversation
JOIN codin_memory.scope ON scope.id = conversation.scope
WHERE {_SCOPE} AND conversation.context = $4 AND utterance.place > $5
ORDER BY utterance.place"""
OLDEST = f"{_WINDOW} LIMIT $6"
NEWEST = f"{_WINDOW} DESC LIMIT $6"
SUMMARY = f"""
SELECT summary, covers FROM codin_memory.conversation JOIN codin_memory.scope ON scope.id = conversation.scope
WHERE {_SCOPE} AND context = $4 AND summary IS NOT NULL"""
SUMMARISE = """
INSERT INTO codin_memory.conversation (scope, context, summary, covers) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, context) DO UPDATE SET summary = excluded.summary, covers = excluded.covers
WHERE coalesce(conversation.covers, 0) <= excluded.covers"""

# Notes

_NOTES = f"""
SELECT key, value, at, expires FROM codin_memory.note JOIN codin_memory.scope ON scope.id = note.scope
WHERE {_SCOPE} AND context = $4"""
NOTE = f"{_NOTES} AND key = $5 AND (expires IS NULL OR expires > $6)"
NOTES = f"""{_NOTES} AND (expires IS NULL OR expires > $5) AND key ^@ $6 AND key > $7 ORDER BY key LIMIT $8"""
PUT_NOTE = """
INSERT INTO codin_memory.note (scope, context, key, value, at, expires) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (scope, context, key) DO UPDATE SET value = excluded.value, at = excluded.at, expires = excluded.expires"""
DROP_NOTE = f"""
DELETE FROM codin_memory.note USING codin_memory.scope
WHERE scope.id = note.scope AND {_SCOPE} AND context = $4 AND key = $5 RETURNING true"""

# Records

SPACE = "SELECT id, dimensions FROM codin_memory.space WHERE name = $1"
NEW_SPACE = "INSERT INTO codin_memory.space (name, dimensions) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
ADD = """
INSERT INTO codin_memory.record (scope, id, text, metadata, at, words, space, vector)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::real[]::vector)"""
KEYS = "SELECT id, key FROM codin_memory.record WHERE scope = $1 AND id = ANY($2::text[])"
COUNTED = "UPDATE codin_memory.scope SET records = records + $2, words = words + $3 WHERE id = $1"
DELETE = """
WITH gone AS (
    DELETE FROM codin_memory.record WHERE scope = $1 AND id = ANY($2::text[]) RETURNING key, words
), words AS (
    DELETE FROM codin_memory.word WHERE record IN (SELECT key FROM gone)
), counted AS (
    UPDATE codin_memory.scope SET
        records = records - (SELECT count(*) FROM gone), words = words - (SELECT sum(words) FROM gone)
    WHERE id = $1 AND EXISTS (SELECT FROM gone)
)
SELECT count(*) FROM gone"""

_KNOWN = """
SELECT tenant, agent, caller FROM codin_memory.scope
WHERE coalesce($1::text = tenant, true) AND coalesce($2::text = agent, true) AND coalesce($3::text = caller, true){}
ORDER BY tenant, agent, caller LIMIT $4"""
KNOWN, KNOWN_AFTER = _KNOWN.format(""), _KNOWN.format(" AND (tenant, agent, caller) > ($5, $6, $7)")

ROOMS = """
SELECT id, tenant, agent, caller, records, words FROM codin_memory.scope
WHERE (tenant, agent, caller) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))"""

_FOUND = "record.scope, record.id, record.text, record.metadata, record.at"


def records(where: str) -> str:
    """The page of a scope's records behind an id."""
    return f"""
SELECT record.id, record.text, record.metadata, record.at
FROM codin_memory.record JOIN codin_memory.scope ON scope.id = record.scope
WHERE {_SCOPE} AND record.id > $4 {where} ORDER BY record.id LIMIT $5"""


def nearest(space: int, dimensions: int, where: str, *, exact: bool) -> str:
    """The nearest records of scopes. The space stands in it as a number, so that its index is known to fit.

    Vectors have length 1, so that the inner product is the cosine; and it has one for the vector of zeros, too.
    """
    distance = f"record.vector::vector({dimensions}) <#> $2::real[]::vector({dimensions})"
    return f"""
SELECT {_FOUND}, -({distance}) AS score FROM codin_memory.record
WHERE record.space = {space} AND record.scope = ANY($1::bigint[]) {where}
ORDER BY {f"({distance}) + 0" if exact else distance} LIMIT $3"""


# All of somebody, and all that is old

HELD_OF = f"SELECT id FROM codin_memory.scope WHERE {_OF} ORDER BY id FOR UPDATE"
FORGET = """
WITH words AS (
    DELETE FROM codin_memory.word WHERE scope = ANY($1::bigint[])
), gone AS (
    DELETE FROM codin_memory.scope WHERE id = ANY($1::bigint[])
)
SELECT
    (SELECT count(*) FROM codin_memory.utterance JOIN codin_memory.conversation
        ON conversation.id = utterance.conversation WHERE conversation.scope = ANY($1::bigint[]))
    + (SELECT count(*) FROM codin_memory.note WHERE scope = ANY($1::bigint[]))
    + (SELECT count(*) FROM codin_memory.blob JOIN codin_memory.shelf ON shelf.id = blob.shelf
        WHERE shelf.scope = ANY($1::bigint[]))
    + (SELECT count(*) FROM codin_memory.record WHERE scope = ANY($1::bigint[]))"""

HELD_OLD = """
SELECT id FROM codin_memory.scope WHERE id IN (
    SELECT conversation.scope FROM codin_memory.conversation JOIN codin_memory.utterance
        ON utterance.conversation = conversation.id WHERE utterance.at < $1
    UNION SELECT scope FROM codin_memory.record WHERE at < $1
    UNION SELECT scope FROM codin_memory.note WHERE expires <= $2
    UNION SELECT scope FROM codin_memory.shelf WHERE at < $1
) ORDER BY id FOR NO KEY UPDATE"""
TRIM = """
WITH said AS (
    DELETE FROM codin_memory.utterance USING codin_memory.conversation
    WHERE conversation.id = utterance.conversation AND conversation.scope = ANY($1::bigint[]) AND utterance.at < $2
    RETURNING utterance.conversation, utterance.task_id, utterance.number
), trimmed AS (
    INSERT INTO codin_memory.trimmed
    SELECT conversation, task_id, max(number) FROM said WHERE task_id <> '' GROUP BY conversation, task_id
    ON CONFLICT (conversation, task_id) DO UPDATE SET number = greatest(trimmed.number, excluded.number)
), shelves AS (
    -- Their blobs go with them; a shelf where something is put meanwhile stays, and so do its.
    DELETE FROM codin_memory.shelf WHERE scope = ANY($1::bigint[]) AND at < $2 RETURNING id
), notes AS (
    DELETE FROM codin_memory.note WHERE scope = ANY($1::bigint[]) AND expires <= $3 RETURNING true
), gone AS (
    DELETE FROM codin_memory.record WHERE scope = ANY($1::bigint[]) AND at < $2 RETURNING key, scope, words
), words AS (
    DELETE FROM codin_memory.word WHERE record IN (SELECT key FROM gone)
), counted AS (
    UPDATE codin_memory.scope SET records = scope.records - lost.records, words = scope.words - lost.words
    FROM (SELECT scope, count(*) AS records, sum(words) AS words FROM gone GROUP BY scope) AS lost
    WHERE scope.id = lost.scope
)
SELECT (SELECT count(*) FROM said) + (SELECT count(*) FROM notes) + (SELECT count(*) FROM gone)
    + (SELECT count(*) FROM codin_memory.blob WHERE shelf IN (SELECT id FROM shelves))"""

STATS = f"""
WITH room AS MATERIALIZED (SELECT id, records FROM codin_memory.scope WHERE {_OF})
SELECT
    (SELECT count(*) FROM codin_memory.conversation WHERE scope IN (SELECT id FROM room)) AS contexts,
    (SELECT count(*) FROM codin_memory.utterance WHERE conversation IN
        (SELECT id FROM codin_memory.conversation WHERE scope IN (SELECT id FROM room))) AS utterances,
    (SELECT count(*) FROM codin_memory.note WHERE scope IN (SELECT id FROM room)) AS notes,
    (SELECT count(*) FROM codin_memory.blob WHERE shelf IN
        (SELECT id FROM codin_memory.shelf WHERE scope IN (SELECT id FROM room))) AS blobs"""
SPACES = f"""
SELECT coalesce(space.name, '') AS name, count(*) AS records
FROM codin_memory.scope JOIN codin_memory.record ON record.scope = scope.id
LEFT JOIN codin_memory.space ON space.id = record.space
WHERE {_OF} GROUP BY 1"""

# Indexes of spaces

LARGE = """
SELECT id, dimensions FROM codin_memory.space
WHERE dimensions <= $1 AND NOT EXISTS (
    SELECT FROM pg_index WHERE indexrelid = to_regclass('codin_memory.record_nearest_' || space.id) AND indisvalid
) AND $2 <= (
    SELECT count(*) FROM (SELECT FROM codin_memory.record WHERE record.space = space.id LIMIT $2) AS found
) ORDER BY id"""
VALID = """
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('codin_memory.' || $1)"""


# An index that does not fit into memory while it is made takes many times as long. Several workers would share that of
# /dev/shm, of which a container has next to nothing.
ROOM_FOR_INDEX = """
SELECT set_config('max_parallel_maintenance_workers', '0', false), set_config('maintenance_work_mem', '512MB', false)
WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('512MB')"""


def index_name(space: int) -> str:
    """The name of a space's index."""
    return f"record_nearest_{space}"


def create_index(space: int, dimensions: int) -> str:
    """Makes a space's index, while others go on writing."""
    return f"""
CREATE INDEX CONCURRENTLY {index_name(space)} ON codin_memory.record
USING hnsw ((vector::vector({dimensions})) vector_ip_ops) WHERE space = {space}"""


def drop_index(space: int) -> str:
    """Removes one that was not finished."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS codin_memory.{index_name(space)}"
