-- The journal: every message that took effect, in the order of arrival.
CREATE TABLE message (
    number   INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    received TEXT NOT NULL,
    source   TEXT NOT NULL,
    type     TEXT NOT NULL,
    body     TEXT,
    job      TEXT,
    chain    TEXT NOT NULL,
    outcome  TEXT,
    state    TEXT NOT NULL CHECK (state IN ('received', 'decided', 'stuck', 'answered', 'late')),
    reply    TEXT,
    decided  TEXT,
    error    TEXT,
    effect   TEXT CHECK (effect IN ('put', 'clear')),
    checklist_key TEXT
) STRICT;
CREATE INDEX message_open ON message (number) WHERE state IN ('received', 'stuck');
CREATE INDEX message_chain ON message (chain);
CREATE INDEX message_job ON message (job) WHERE job IS NOT NULL;

CREATE TABLE job (
    id            TEXT PRIMARY KEY,
    worker        TEXT NOT NULL,
    module        TEXT NOT NULL,
    arguments     TEXT NOT NULL,
    host          TEXT NOT NULL,
    executor      TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'held', 'submitting', 'running',
                      'succeeded', 'failed', 'crashed', 'timed out', 'cancelled', 'lost')),
    attempt       INTEGER NOT NULL,
    predecessor   TEXT,
    cause         INTEGER,
    chain         TEXT NOT NULL,
    barrier       INTEGER,
    created       TEXT NOT NULL,
    started       TEXT,
    ended         TEXT,
    pid           INTEGER,
    exit          TEXT,
    reason        TEXT,
    final_message INTEGER
) STRICT, WITHOUT ROWID;
-- A job is open until its process has gone and its end is recorded.
CREATE INDEX job_open ON job (id)
    WHERE state IN ('waiting', 'held', 'submitting', 'running') OR exit IS NULL;
CREATE INDEX job_worker ON job (worker, id);
CREATE INDEX job_state ON job (state, id);
CREATE INDEX job_chain ON job (chain);

CREATE TABLE barrier (
    number      INTEGER PRIMARY KEY,
    cause       INTEGER NOT NULL,
    workers     TEXT NOT NULL,
    waiting_for TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('active', 'released', 'replaced')),
    created     TEXT NOT NULL,
    ended       TEXT
) STRICT;
CREATE INDEX barrier_active ON barrier (number) WHERE state = 'active';

-- The checklist as it was after the message of checklist_state; what came later is in the journal.
-- Fragments of its file: one row a key, or one a sub-key once a key is large.
-- `line` opens the key of a fragment that belongs below it; '' where the fragment opens it itself.
CREATE TABLE checklist (
    key      TEXT NOT NULL,
    subkey   TEXT NOT NULL,
    line     TEXT NOT NULL,
    fragment TEXT NOT NULL,
    PRIMARY KEY (key, subkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE checklist_state (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    journal INTEGER NOT NULL
) STRICT;
INSERT INTO checklist_state VALUES (1, 0);
