-- The day by which the ship date of a replacement is given is a promise of its own.
ALTER TABLE promises DROP CONSTRAINT promises_subject_check;
ALTER TABLE promises ADD CONSTRAINT promises_subject_check
    CHECK (subject IN ('line', 'delivery', 'replacement', 'replacement_date')) NOT VALID;
