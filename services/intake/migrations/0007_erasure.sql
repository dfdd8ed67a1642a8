-- Photos whose rows are gone and whose files are to go: files are part of no transaction, so they go after it.
CREATE TABLE photos_to_delete (
    sha256     text        PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    media_type text        NOT NULL,
    since      timestamptz NOT NULL DEFAULT now()
);

-- What is looked for when its time is over: words of closed issues, and photos.
CREATE INDEX issues_with_words ON issues (gate_at) WHERE description IS NOT NULL AND NOT is_open;
CREATE INDEX evidence_stored_at ON evidence USING brin (stored_at);

-- The one change that staff's acts and the story of an issue may see: what was written about an erased customer's issue
-- in free words is emptied.
CREATE FUNCTION erase_words(issues uuid[]) RETURNS void LANGUAGE sql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE decisions SET comment = 'erased' WHERE issue_id = ANY(issues) AND comment <> 'erased';
    UPDATE desk_acts SET comment = 'erased' WHERE subject = ANY(issues::text[]) AND comment <> 'erased';
    UPDATE timeline SET data = data - 'comment' WHERE issue_id = ANY(issues) AND data ? 'comment';
$$;
