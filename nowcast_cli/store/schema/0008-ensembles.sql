-- Several jobs of a worker that end as one. Its members are the jobs that name it in `ensemble`;
-- `member` says of each which it is: JSON, its label, place, and of how many. Members are counted by
-- how they ended, so that each end costs a row and not a look at all the others.
CREATE TABLE ensemble (
    id            TEXT PRIMARY KEY,
    worker        TEXT NOT NULL,
    members       TEXT NOT NULL,
    size          INTEGER NOT NULL,
    at_most       INTEGER,
    at_least      INTEGER,
    state         TEXT NOT NULL CHECK (state IN ('open', 'succeeded', 'failed', 'crashed', 'cancelled')),
    cause         INTEGER,
    chain         TEXT NOT NULL,
    barrier       INTEGER,
    created       TEXT NOT NULL,
    predecessor   TEXT,
    succeeded     INTEGER NOT NULL,
    failed        INTEGER NOT NULL,
    crashed       INTEGER NOT NULL,
    cancelled     INTEGER NOT NULL,
    ended         TEXT,
    reason        TEXT,
    final_message INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX ensemble_open ON ensemble (id) WHERE state = 'open';
CREATE INDEX ensemble_chain ON ensemble (chain);
CREATE INDEX ensemble_short_id ON ensemble (substr(id, -8));
CREATE INDEX ensemble_cause ON ensemble (cause) WHERE cause IS NOT NULL;

ALTER TABLE job ADD COLUMN ensemble TEXT;
ALTER TABLE job ADD COLUMN member TEXT;
CREATE INDEX job_ensemble ON job (ensemble, id) WHERE ensemble IS NOT NULL;
-- Jobs by themselves, for lists that tell of an ensemble as one.
CREATE INDEX job_alone ON job (id) WHERE ensemble IS NULL;
