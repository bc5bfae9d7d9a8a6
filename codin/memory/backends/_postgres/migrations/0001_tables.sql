-- Whose memory; everything below hangs on it, so that forgetting is deleting here.
-- Texts are compared by code points ("C"), as Python does.
CREATE TABLE codin_memory.scope (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    caller text COLLATE "C" NOT NULL,
    -- Of its records, for BM25: counting them would be a scan for each search.
    records bigint NOT NULL DEFAULT 0,
    words bigint NOT NULL DEFAULT 0,
    UNIQUE (tenant, agent, caller)
);

CREATE TABLE codin_memory.conversation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope bigint NOT NULL REFERENCES codin_memory.scope ON DELETE CASCADE,
    context text COLLATE "C" NOT NULL,
    last bigint NOT NULL DEFAULT 0,
    summary text,
    covers bigint,
    UNIQUE (scope, context)
);

-- What has a form of its own stays the JSON that it came as.
CREATE TABLE codin_memory.utterance (
    conversation bigint NOT NULL REFERENCES codin_memory.conversation ON DELETE CASCADE,
    place bigint NOT NULL,
    role text NOT NULL,
    text text NOT NULL,
    parts json NOT NULL,
    metadata json NOT NULL,
    at bigint NOT NULL,
    task_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    index bigint NOT NULL,
    PRIMARY KEY (conversation, place)
);
CREATE UNIQUE INDEX utterance_once ON codin_memory.utterance (conversation, task_id, number, index) WHERE task_id <> '';
CREATE INDEX utterance_at ON codin_memory.utterance USING brin (at);

CREATE TABLE codin_memory.note (
    scope bigint NOT NULL REFERENCES codin_memory.scope ON DELETE CASCADE,
    context text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value json NOT NULL,
    at bigint NOT NULL,
    expires bigint,
    PRIMARY KEY (scope, context, key)
);
CREATE INDEX note_expires ON codin_memory.note (expires) WHERE expires IS NOT NULL;

CREATE TABLE codin_memory.space (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    dimensions integer NOT NULL
);

-- Vectors of several lengths share a column; the index of a space is made when it has grown large.
CREATE TABLE codin_memory.record (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope bigint NOT NULL REFERENCES codin_memory.scope ON DELETE CASCADE,
    id text COLLATE "C" NOT NULL,
    text text NOT NULL,
    metadata jsonb NOT NULL,
    at bigint NOT NULL,
    words integer NOT NULL,
    space integer REFERENCES codin_memory.space,
    vector vector,
    UNIQUE (scope, id)
);
-- Comparing many vectors one by one must not fetch each from another page.
ALTER TABLE codin_memory.record ALTER COLUMN vector SET STORAGE MAIN;
CREATE INDEX record_metadata ON codin_memory.record USING gin (metadata jsonb_path_ops);
CREATE INDEX record_at ON codin_memory.record USING brin (at);

-- The words of records, each with what its score needs, so that ranking reads this key and nothing else. It has no foreign
-- key: a check for each of a text's words would cost more than the rest.
CREATE TABLE codin_memory.word (
    scope bigint NOT NULL,
    term text COLLATE "C" NOT NULL,
    record bigint NOT NULL,
    times integer NOT NULL,
    words integer NOT NULL,
    PRIMARY KEY (scope, term, record) INCLUDE (times, words)
);
CREATE INDEX word_record ON codin_memory.word (record);
