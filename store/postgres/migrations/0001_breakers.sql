-- The tables of commontrip's store. They stand in a schema of their own.
DO $$
BEGIN
	IF current_setting('server_encoding') <> 'UTF8' THEN
		RAISE 'the encoding of the database is %; want UTF8, in which every name can be written', current_setting('server_encoding');
	END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS commontrip;

CREATE TABLE commontrip.migrations (
	version integer PRIMARY KEY,
	applied timestamptz NOT NULL DEFAULT now()
);

-- A breaker is a row. Pages are left half empty, and nothing that a report changes is indexed, so that an update finds room on
-- its own page and touches no index. The data is kept in the row as long as it fits.
CREATE TABLE commontrip.breakers (
	fleet      text COLLATE "C" NOT NULL,
	name       text COLLATE "C" NOT NULL,
	data       bytea NOT NULL,
	shown      boolean NOT NULL,
	generation bigint NOT NULL,
	rev        bigint NOT NULL,
	expires    bigint NOT NULL, -- ms since 1970 from which on nobody needs the row; 0 = never
	PRIMARY KEY (fleet, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

ALTER TABLE commontrip.breakers ALTER COLUMN data SET STORAGE MAIN;
