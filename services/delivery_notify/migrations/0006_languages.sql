-- A language is a folder of texts: the list of languages is not repeated here, or a new one could not be stored.
ALTER TABLE contacts DROP CONSTRAINT contacts_language_check;
ALTER TABLE preferences DROP CONSTRAINT preferences_language_check;
