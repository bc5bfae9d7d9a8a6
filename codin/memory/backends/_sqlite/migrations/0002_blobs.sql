-- Bytes by keys. What is on one shelf belongs together, and goes when nothing was put there for long.
CREATE TABLE shelves (
    id    INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    name  TEXT NOT NULL,
    at    INTEGER NOT NULL,                   -- when something was put there last
    UNIQUE (scope, name)
);

CREATE INDEX shelves_by_age ON shelves (at);

CREATE TABLE blobs (
    id    INTEGER PRIMARY KEY,                -- values may be large: they are not in a tree that is searched
    shelf INTEGER NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (shelf, key)
);

-- How far a task's utterances were erased because of their age: they are not appended again.
CREATE TABLE trimmed (
    context INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (context, task_id)
) WITHOUT ROWID;
