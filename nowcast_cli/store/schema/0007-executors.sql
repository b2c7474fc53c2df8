-- `submitted` is when its executor had taken a job. `native` is what the system beneath calls it, and
-- its state there: JSON. `slow` says when it was told that a job takes far longer than any before it.
ALTER TABLE job ADD COLUMN submitted TEXT;
ALTER TABLE job ADD COLUMN native TEXT;
ALTER TABLE job ADD COLUMN slow TEXT;
