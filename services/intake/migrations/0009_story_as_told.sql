-- The story is written a dozen times an issue and read whole: as `json` it is checked and kept as it was told, where
-- `jsonb` takes each fact apart to put it together again.
ALTER TABLE timeline ALTER COLUMN data TYPE json USING data::json;

CREATE OR REPLACE FUNCTION erase_words(issues uuid[]) RETURNS void LANGUAGE sql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE decisions SET comment = 'erased' WHERE issue_id = ANY(issues) AND comment <> 'erased';
    UPDATE desk_acts SET comment = 'erased' WHERE subject = ANY(issues::text[]) AND comment <> 'erased';
    UPDATE timeline SET data = (data::jsonb - 'comment')::json WHERE issue_id = ANY(issues) AND data -> 'comment' IS NOT NULL;
$$;
