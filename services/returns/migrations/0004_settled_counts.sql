-- Kept counts that staff settled without a case.
ALTER TABLE kept_counts
    ADD COLUMN settled_at      timestamptz,
    ADD COLUMN settled_by      text,
    ADD COLUMN settled_comment text;
