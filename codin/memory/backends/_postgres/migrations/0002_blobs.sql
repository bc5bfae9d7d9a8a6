-- Bytes by keys. What is on one shelf belongs together, and goes when nothing was put there for long.
CREATE TABLE codin_memory.shelf (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope bigint NOT NULL REFERENCES codin_memory.scope ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    UNIQUE (scope, name)
);
CREATE INDEX shelf_at ON codin_memory.shelf (at);

CREATE TABLE codin_memory.blob (
    shelf bigint NOT NULL REFERENCES codin_memory.shelf ON DELETE CASCADE,
    key text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (shelf, key)
);

-- How far a task's utterances were erased because of their age: they are not appended again.
CREATE TABLE codin_memory.trimmed (
    conversation bigint NOT NULL REFERENCES codin_memory.conversation ON DELETE CASCADE,
    task_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (conversation, task_id)
);
