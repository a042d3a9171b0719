-- What the role of the processes may do: read and write rows, in every table except where a line below says less. The role that
-- applies schema.sql owns everything. `python -m api schema` runs this file after schema.sql, and also if nothing else has
-- changed, so that the rights are the same again after a restore.
--
-- Without the role daveslist_processes, as on a Postgres with one role for everything, it does nothing.

BEGIN;
DO $$
DECLARE
    home CONSTANT name := current_schema();
    owned regclass;
BEGIN
    IF current_user = 'daveslist_processes' OR to_regrole('daveslist_processes') IS NULL THEN
        RETURN;
    END IF;

    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, daveslist_processes', home);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO daveslist_processes', home);
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());

    -- Rows have identity columns, which need no right on their sequence. A renewed listing takes a number from it by itself.
    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO daveslist_processes', home
    );
    -- Only our own: an extension may have added others.
    FOR owned IN
        SELECT oid FROM pg_class
        WHERE relnamespace = home::regnamespace AND relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM daveslist_processes', owned);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO daveslist_processes', owned);
    END LOOP;

    EXECUTE format('GRANT USAGE ON SEQUENCE %s TO daveslist_processes', pg_get_serial_sequence('listings', 'id'));

    -- A process adds to the audit log and never changes it. The trigger on this table refuses everybody; without rights on it,
    -- the processes cannot switch the trigger off either.
    REVOKE UPDATE, DELETE ON audit FROM daveslist_processes;
    -- Rows of these tables stay when what they stand for is deleted.
    REVOKE DELETE ON users, categories, messages FROM daveslist_processes;
    REVOKE INSERT, UPDATE, DELETE ON schema_applied FROM daveslist_processes;
    REVOKE INSERT, DELETE ON number_timelines FROM daveslist_processes;
END $$;
COMMIT;
