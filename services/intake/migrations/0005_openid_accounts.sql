-- Accounts of staff whom the identity provider of the shop signs in (OpenID Connect): they are known by issuer and
-- subject, never by their name, which the provider may give to somebody else, and have no password here.
ALTER TABLE staff ALTER COLUMN password_hash DROP NOT NULL;
ALTER TABLE staff ADD COLUMN issuer text, ADD COLUMN subject text;
ALTER TABLE staff ADD CONSTRAINT staff_identity UNIQUE (issuer, subject);
ALTER TABLE staff ADD CONSTRAINT staff_signs_in_one_way
    CHECK ((password_hash IS NULL) = (issuer IS NOT NULL AND subject IS NOT NULL));

-- A language is a folder of texts: the list of languages is not repeated here. Pages without texts in it are in English.
ALTER TABLE staff DROP CONSTRAINT staff_language_check;
