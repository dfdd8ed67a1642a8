-- What a notice tells and what it says is broken: promises by subject, line and version, as `notice.sent` names them.
ALTER TABLE notices ADD COLUMN tells jsonb NOT NULL DEFAULT '[]', ADD COLUMN breaks jsonb NOT NULL DEFAULT '[]';

ALTER TABLE promises DROP CONSTRAINT promises_subject_check;
ALTER TABLE promises ADD CONSTRAINT promises_subject_check CHECK (subject IN ('line', 'delivery', 'replacement'));

-- When each promise was told, and by what: a notice, or another surface of the shop. Rows are only ever added.
CREATE TABLE tellings (
    order_id   text        NOT NULL,
    subject    text        NOT NULL,
    subject_id text        NOT NULL,
    version    integer     NOT NULL,
    surface    text        NOT NULL,
    notice_id  uuid,
    told_at    timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (order_id, subject, subject_id, version, notice_id)
);
CREATE TRIGGER tellings_are_kept BEFORE UPDATE OR DELETE ON tellings
    FOR EACH STATEMENT EXECUTE FUNCTION promises_are_kept();

-- Personal data stays in this one table: the address that a customer asked for on the choice page, and by which choice.
ALTER TABLE contacts ADD COLUMN wished_by uuid, ADD COLUMN wished_address jsonb;
