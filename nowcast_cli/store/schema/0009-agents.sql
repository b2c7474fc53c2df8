-- What has to be known of agents when the manager begins again: what operators have said of them
-- (`standing`, `limits`: JSON), what each has last said of itself (`described`: JSON), and when it
-- was last heard of, which is written now and then.
CREATE TABLE agent (
    name      TEXT PRIMARY KEY,
    standing  TEXT NOT NULL CHECK (standing IN ('online', 'draining', 'disabled')),
    limits    TEXT NOT NULL,
    described TEXT,
    seen      TEXT
) STRICT, WITHOUT ROWID;

-- On which agent a job is, from `placed` on; before that, the one that an operator has chosen for it.
-- `failed_on` are the agents on which attempts before it have failed: JSON.
CREATE TABLE assignment (
    job       TEXT PRIMARY KEY,
    agent     TEXT NOT NULL,
    placed    TEXT,
    failed_on TEXT NOT NULL
) STRICT, WITHOUT ROWID;
