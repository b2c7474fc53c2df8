-- What is looked up in a journal of millions of messages, by indices that cost a message little:
-- each one more is a page that its commit has to write.
DROP INDEX message_open;
DROP INDEX message_chain;
DROP INDEX message_job;
DROP INDEX message_success;
CREATE INDEX message_special ON message (state) WHERE state <> 'decided';
CREATE INDEX message_source ON message (source, outcome);
CREATE INDEX message_effect ON message (checklist_key) WHERE effect IS NOT NULL;

-- People type the last eight characters of a job's id.
CREATE INDEX job_short_id ON job (substr(id, -8));
CREATE INDEX job_cause ON job (cause) WHERE cause IS NOT NULL;
-- Those that ended badly: since midnight, and those without a message that tells of it. The conditions
-- are repeated word by word where they are asked for: else the index cannot be used.
CREATE INDEX job_bad ON job (state, created)
    WHERE state IN ('failed', 'crashed', 'timed out', 'lost');
CREATE INDEX job_silent ON job (state, ended)
    WHERE state IN ('crashed', 'lost', 'timed out') AND final_message IS NULL;
