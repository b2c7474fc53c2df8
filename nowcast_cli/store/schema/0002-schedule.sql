-- The items of the schedule: up to which nominal time (`cursor`) everything was launched or passed
-- over, and the last launch. `timing` tells an item whose times have changed.
CREATE TABLE schedule (
    item    TEXT PRIMARY KEY,
    timing  TEXT NOT NULL,
    cursor  TEXT NOT NULL,
    nominal TEXT,
    job     TEXT,
    paused  TEXT
) STRICT, WITHOUT ROWID;

-- The last success of a worker, for what is expected of it.
CREATE INDEX message_success ON message (source, received) WHERE outcome = 'success';
