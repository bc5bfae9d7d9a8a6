-- A task's present state: one small row, because it changes with every commit.
CREATE TABLE tasks (
    id         INTEGER PRIMARY KEY,
    task_id    TEXT NOT NULL UNIQUE,
    tenant     TEXT NOT NULL,
    agent      TEXT NOT NULL,
    caller     TEXT NOT NULL,
    context_id TEXT NOT NULL,
    state      TEXT NOT NULL,
    changed    INTEGER NOT NULL,           -- time of the last status, milliseconds since 1970
    last       INTEGER NOT NULL,           -- number of the last entry
    trimmed    INTEGER NOT NULL DEFAULT 0  -- chunks up to this number are gone
);

CREATE INDEX tasks_by_owner ON tasks (tenant, agent, caller, changed);

CREATE INDEX tasks_unfinished ON tasks (agent, id) WHERE state NOT IN
    ('TASK_STATE_COMPLETED', 'TASK_STATE_FAILED', 'TASK_STATE_CANCELED', 'TASK_STATE_REJECTED');

-- The log. One tree, in the order in which a task is read.
CREATE TABLE entries (
    place    INTEGER PRIMARY KEY,          -- tasks.id << 32 | number
    position INTEGER NOT NULL,             -- the commit it came with
    kind     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    body     BLOB NOT NULL
);

-- The folded task at its newest terminal or interrupted entry.
CREATE TABLE folds (
    task    INTEGER PRIMARY KEY,
    last    INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    body    BLOB NOT NULL
);

-- The global feed.
CREATE TABLE commits (
    position INTEGER PRIMARY KEY,
    task     INTEGER NOT NULL,
    first    INTEGER NOT NULL,             -- entries first to last of the task
    last     INTEGER NOT NULL,
    state    TEXT NOT NULL,
    changed  INTEGER NOT NULL
);

-- Idempotency keys, each with the commit that took it.
CREATE TABLE claims (
    position INTEGER PRIMARY KEY,
    tenant   TEXT NOT NULL,
    agent    TEXT NOT NULL,
    caller   TEXT NOT NULL,
    key      TEXT NOT NULL,
    digest   TEXT NOT NULL,
    task_id  TEXT NOT NULL,
    number   INTEGER NOT NULL,
    UNIQUE (tenant, agent, caller, key)
);

-- How far each consumer of the feed has come.
CREATE TABLE cursors (
    consumer TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;

-- 'position': the newest one given, kept when retention takes its commit away.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
