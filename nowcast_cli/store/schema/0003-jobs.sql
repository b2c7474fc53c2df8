-- `tried` counts the attempts since somebody, or a decision, launched the worker. `delay` is what an
-- attempt waits for after the one before: JSON, seconds, and when that is on the clock of one boot.
-- `timed_out` says when a job had run for longer than it may; its process is being ended from then on.
ALTER TABLE job ADD COLUMN tried INTEGER NOT NULL DEFAULT 1;
ALTER TABLE job ADD COLUMN delay TEXT;
ALTER TABLE job ADD COLUMN timed_out TEXT;

-- What became of a message that is settled and that no after_ function was asked about.
ALTER TABLE message ADD COLUMN note TEXT;

-- Workers of which nothing is launched; '' for the whole system.
CREATE TABLE hold (
    worker TEXT PRIMARY KEY,
    since  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
