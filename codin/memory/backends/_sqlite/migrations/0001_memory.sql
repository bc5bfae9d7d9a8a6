-- Whose things are kept here; a number stands for the three names everywhere else.
CREATE TABLE scopes (
    id     INTEGER PRIMARY KEY AUTOINCREMENT, -- it is in the words below: never given twice
    tenant TEXT NOT NULL,
    agent  TEXT NOT NULL,
    caller TEXT NOT NULL,
    UNIQUE (tenant, agent, caller)
);

CREATE TABLE contexts (
    id      INTEGER PRIMARY KEY,
    scope   INTEGER NOT NULL,
    name    TEXT NOT NULL,
    last    INTEGER NOT NULL DEFAULT 0,       -- place of the newest utterance, kept when that is gone
    summary TEXT,
    covers  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, name)
);

-- What was said. One tree, in the order in which a conversation is read.
CREATE TABLE utterances (
    key      INTEGER PRIMARY KEY,             -- contexts.id << 32 | place
    context  INTEGER NOT NULL,
    role     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    task_id  TEXT NOT NULL,
    number   INTEGER NOT NULL,
    part     INTEGER NOT NULL,                -- index among several from one entry
    text     TEXT NOT NULL,
    parts    TEXT,                            -- JSON; NULL for none, as is usual
    metadata TEXT
);

CREATE UNIQUE INDEX utterances_once ON utterances (context, task_id, number, part) WHERE task_id <> '';
CREATE INDEX utterances_by_age ON utterances (at);

CREATE TABLE notes (
    scope   INTEGER NOT NULL,
    context TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,                    -- JSON
    at      INTEGER NOT NULL,
    expires INTEGER,
    PRIMARY KEY (scope, context, key)
) WITHOUT ROWID;

CREATE INDEX notes_by_end ON notes (expires) WHERE expires IS NOT NULL;

-- What made vectors, and how long those are.
CREATE TABLE spaces (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL
);

CREATE TABLE records (
    id       INTEGER PRIMARY KEY AUTOINCREMENT, -- rises with every change and is never given twice: see codes
    scope    INTEGER NOT NULL,
    name     TEXT NOT NULL,
    space    INTEGER,                           -- NULL for those without a vector
    at       INTEGER NOT NULL,
    metadata TEXT NOT NULL,                     -- JSON, before the text: a filter does not read through that
    text     TEXT NOT NULL,
    terms    BLOB NOT NULL,                     -- the index takes a record out by the same words only
    UNIQUE (scope, name)
);

CREATE INDEX records_by_age ON records (at);

-- Each word with its scope's number before it. It keeps no text, and takes every letter beyond ASCII as it is.
CREATE VIRTUAL TABLE words USING fts5 (terms, content = '', tokenize = 'ascii');

CREATE TABLE vectors (
    record INTEGER PRIMARY KEY,
    vector BLOB NOT NULL                        -- float32, little endian
);

-- A bit for each number of a vector. Narrow and in the order of their coming: a process reads what is new.
CREATE TABLE codes (
    scope  INTEGER NOT NULL,
    space  INTEGER NOT NULL,
    record INTEGER NOT NULL,
    code   BLOB NOT NULL,
    PRIMARY KEY (scope, space, record)
) WITHOUT ROWID;

-- 'stale': what was deleted may be in the index of words still, or in gaps of the file.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
