-- What subscribers are told of: one row a commit and stream, so that a turn of a hundred changes costs
-- one row. The events of a batch have the numbers `first` to `last`, in order; there may be more
-- numbers than events: those at the end are never used. `place` is the order of commits. JSON:
-- events, a list of mappings with topic, payload, and where there are any attempt, correlation,
-- status.
CREATE TABLE event_batch (
    place  INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    time   TEXT NOT NULL,
    events TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_batch_last ON event_batch (stream, last);
