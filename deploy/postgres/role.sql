-- The role with which the processes come to Postgres, and who owns the database: said again at each start, so that a
-- changed POSTGRES_PASSWORD is the role's from the next `up` on.
--
-- The image's own user is the superuser of the whole server. It keeps no password: it is reached over the Unix socket
-- alone, which no process has.

-- psql reads it here, so that it stands on no command line; and no failed statement is quoted anywhere, password included.
\getenv password POSTGRES_PASSWORD
\set VERBOSITY terse
SET log_statement = none;
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;

BEGIN;
SELECT 'CREATE ROLE daveslist' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'daveslist') \gexec
ALTER ROLE daveslist LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
ALTER DATABASE daveslist OWNER TO daveslist;
ALTER ROLE postgres PASSWORD NULL;
COMMIT;
