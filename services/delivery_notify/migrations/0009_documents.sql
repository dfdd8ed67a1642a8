-- A conversation is read and written whole, many times in the days of an issue, and nobody looks for anything in it: kept
-- as the text it is, it need not be taken apart and put together again. The version before goes on writing `jsonb`, which
-- is cast. With room in each page a new version of a row stays in it, and no index hears of it; so it is for notices.
ALTER TABLE conversations SET (fillfactor = 50);
ALTER TABLE conversations ALTER COLUMN body TYPE json USING body::json;
ALTER TABLE notices SET (fillfactor = 50);
