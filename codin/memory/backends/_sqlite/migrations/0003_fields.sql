-- The metadata of records by its values, for filters: a row for each field, and for each member of a list.
CREATE TABLE fields (
    scope  INTEGER NOT NULL,
    key    TEXT NOT NULL,
    kind   TEXT NOT NULL,     -- text, number, true, false or list
    value  NOT NULL,          -- of a text or a number; '' for others
    member INTEGER NOT NULL,  -- 1 in a list
    record INTEGER NOT NULL,
    PRIMARY KEY (scope, key, kind, value, member, record)
) WITHOUT ROWID;

-- What the table has to have. SQLite reads all of its numbers, so that equals are equal.
CREATE VIEW fields_of_records AS
SELECT r.scope, f.key,
    CASE WHEN f.type IN ('integer', 'real') THEN 'number' WHEN f.type = 'array' THEN 'list' ELSE f.type END,
    CASE WHEN f.type IN ('text', 'integer', 'real') THEN f.atom ELSE '' END,
    0, r.id AS record
FROM records AS r, json_each(r.metadata) AS f
WHERE f.type <> 'null'
UNION ALL
SELECT r.scope, f.key,
    CASE WHEN m.type IN ('integer', 'real') THEN 'number' ELSE m.type END,
    CASE WHEN m.type IN ('text', 'integer', 'real') THEN m.atom ELSE '' END,
    1, r.id
FROM records AS r, json_each(r.metadata) AS f, json_each(CASE f.type WHEN 'array' THEN f.value ELSE '[]' END) AS m
WHERE m.type NOT IN ('null', 'array', 'object');

INSERT OR IGNORE INTO fields SELECT * FROM fields_of_records;
