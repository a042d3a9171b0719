-- Sets up the roles of the database. It runs at each start, so that the processes' role gets a changed password at the next `up`.
--
--   postgres              the image's own user, the superuser of the whole server
--   daveslist             owns the database and changes its schema
--   daveslist_processes   the APIs and gateways; grants.sql says what they may do
--
-- Only the last has a password. The others can log in only over the Unix socket, which no API and no gateway has.

-- psql reads the password from its file, so no command line shows it. The settings below keep every statement, and so the
-- password, out of the logs.
\set password `cat "$POSTGRES_PASSWORD_FILE"`
\set VERBOSITY terse
SET log_statement = none;
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;

SELECT :'password' = '' AS password_is_empty \gset
\if :password_is_empty
DO $$ BEGIN RAISE 'the file of the password cannot be read, or is empty'; END $$;
\endif

BEGIN;
SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['daveslist', 'daveslist_processes']) AS name
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE daveslist LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
ALTER ROLE daveslist_processes LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
ALTER DATABASE daveslist OWNER TO daveslist;
ALTER ROLE postgres PASSWORD NULL;
COMMIT;
