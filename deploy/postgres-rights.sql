-- What a service's user needs to keep its breakers in PostgreSQL, and no more. Run it once, as the owner of the schema, after
-- "commontrip migrate". Then give the role to the service's own user:
--
--   GRANT commontrip TO app;
--
-- LISTEN and NOTIFY need no right.
DO $$
BEGIN
	IF to_regrole('commontrip') IS NULL THEN
		CREATE ROLE commontrip NOLOGIN;
	END IF;
END $$;

GRANT USAGE ON SCHEMA commontrip TO commontrip;
GRANT SELECT ON commontrip.migrations TO commontrip;
GRANT SELECT, INSERT, UPDATE, DELETE ON commontrip.breakers TO commontrip;
