-- Sets up the role that the processes use, and makes it the owner of the database. It runs at each start, so that the role
-- gets a changed POSTGRES_PASSWORD at the next `up`.
--
-- The image's own user is the superuser of the whole server. This script removes its password: it can log in only over the
-- Unix socket, which no process has.

-- psql reads the password from the environment, so no command line shows it. The settings below keep every statement, and
-- so the password, out of the logs.
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
