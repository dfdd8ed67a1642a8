-- When the customer's birthday was told: an erasure takes what is older than itself.
ALTER TABLE birthdays ADD COLUMN told_at timestamptz;

-- The one change that an entry may see: what staff noted about an erased customer, for themselves, is emptied. The
-- setting holds while the function runs; whoever else sets it has no right to write here.
DROP TRIGGER entries_are_append_only ON entries;
CREATE TRIGGER entries_are_append_only BEFORE UPDATE OR DELETE ON entries
    FOR EACH STATEMENT WHEN (current_setting('sakidashi.erasing', true) IS DISTINCT FROM 'notes')
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_are_never_emptied BEFORE TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION erase_notes(whose text, until timestamptz) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('sakidashi.erasing', 'notes', true);
    UPDATE entries SET note = 'erased'
    WHERE customer_id = whose AND at <= until AND note IS NOT NULL AND note <> 'erased';
    PERFORM set_config('sakidashi.erasing', '', true);
END $$;
