-- Runs of flows. A run follows the definition that it began with, whatever the files say later.
-- `first_attempt` is that of steps which come to be from now on, later than all there were before the
-- run was opened again, so that no token is used twice; `tried` counts attempts since then.
-- `item` counts the several that `for each` makes of a step, -1 for a step that is one. JSON:
-- definition, parameters, value, gave, delay, deadline.
CREATE TABLE flow_definition (
    digest     TEXT PRIMARY KEY,
    flow       TEXT NOT NULL,
    definition TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE flow_run (
    id         TEXT PRIMARY KEY,
    flow       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    parameters TEXT NOT NULL,
    state      TEXT NOT NULL
        CHECK (state IN ('running', 'done', 'failed', 'timed out', 'cancelled')),
    origin     TEXT NOT NULL,
    created    TEXT NOT NULL,
    parent     TEXT,
    ended      TEXT,
    reason     TEXT,
    first_attempt INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_run_open ON flow_run (id) WHERE state = 'running';
CREATE INDEX flow_run_flow ON flow_run (flow, id);
CREATE INDEX flow_run_short_id ON flow_run (substr(id, -8));
CREATE INDEX flow_run_digest ON flow_run (digest);

CREATE TABLE flow_step (
    run      TEXT NOT NULL,
    step     TEXT NOT NULL,
    item     INTEGER NOT NULL,
    state    TEXT NOT NULL CHECK (state IN
        ('waiting', 'running', 'done', 'skipped', 'failed', 'timed out', 'cancelled')),
    attempt  INTEGER NOT NULL,
    value    TEXT,
    gave     TEXT,
    begun    TEXT,
    ended    TEXT,
    reason   TEXT,
    job      TEXT,
    delay    TEXT,
    deadline TEXT,
    tried    INTEGER NOT NULL,
    PRIMARY KEY (run, step, item)
) STRICT, WITHOUT ROWID;

-- The attempt of a step of a flow that a job does, as its token.
ALTER TABLE job ADD COLUMN flow_step TEXT;
