-- Who may write: who opened the store last, and so raised `epoch`. What a process that opened it
-- before commits after that is refused.
CREATE TABLE leader (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO leader VALUES (1, 0);
