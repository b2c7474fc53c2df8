-- Steps that are actions: `performer` names who is to carry out an attempt that runs, and is NULL where
-- a word from outside alone ends it; empty, while it is not known. `traceback` is that of an attempt
-- that raised.
ALTER TABLE flow_step ADD COLUMN performer TEXT;
ALTER TABLE flow_step ADD COLUMN traceback TEXT;
