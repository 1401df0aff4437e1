-- What the migrations themselves need.

-- name: find_table
-- The table that says which migrations were applied; NULL: none ever was.
SELECT to_regclass('mtabounce.migrations');

-- name: read_applied
-- The migrations that were applied, in their order.
SELECT migration_id FROM mtabounce.migrations ORDER BY migration_id;

-- name: read_session
-- What this connection was given for a setting as it began; NULL: nothing.
SELECT current_setting(%(name)s, true);

-- name: make_table
-- Make that table where it is missing; yoyo wants these columns.
DO $$
BEGIN
    CREATE SCHEMA IF NOT EXISTS mtabounce;
    CREATE TABLE IF NOT EXISTS mtabounce.migrations (
        migration_hash text PRIMARY KEY,
        migration_id   text NOT NULL,
        applied_at_utc timestamp NOT NULL
    );
    COMMENT ON TABLE mtabounce.migrations IS 'The migrations that this database has had.';
    COMMENT ON COLUMN mtabounce.migrations.migration_hash IS 'SHA-256 of migration_id.';
    COMMENT ON COLUMN mtabounce.migrations.migration_id IS 'Name of the migration.';
    COMMENT ON COLUMN mtabounce.migrations.applied_at_utc IS 'When it was applied, in UTC.';
END
$$;

-- name: lock
-- Wait for others who migrate this database; the end of the connection lets go.
SELECT pg_advisory_lock(hashtext('mtabounce.migrate'));
