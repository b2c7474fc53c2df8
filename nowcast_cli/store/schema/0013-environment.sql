-- JSON: what a job that is a step of a flow finds in its environment beside the rest.
ALTER TABLE job ADD COLUMN environment TEXT;
