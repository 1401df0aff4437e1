-- Whoever runs the service need not own the tables: partitions are made and dropped by functions
-- with the rights of the owner, which mtabounce_admin may call (store/sql/roles.sql).
-- depends: 0094_quick_counts

ALTER FUNCTION mtabounce.ensure_partitions(timestamptz, timestamptz)
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION mtabounce.keep_sent_mail(date, date)
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

CREATE FUNCTION mtabounce.drop_month(partition text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT
                     FROM pg_inherits AS i
                     JOIN pg_class AS c ON c.oid = i.inhrelid
                    WHERE i.inhparent IN ('mtabounce.bounces'::regclass, 'mtabounce.observations'::regclass)
                      AND c.relnamespace = 'mtabounce'::regnamespace
                      AND c.relname = partition
                      AND c.relname ~ '_y\d{4}m\d{2}$') THEN
        RAISE EXCEPTION '% is no monthly partition', partition USING ERRCODE = 'undefined_table';
    END IF;
    EXECUTE format('DROP TABLE mtabounce.%I', partition);
END
$$;
COMMENT ON FUNCTION mtabounce.drop_month IS 'Drops a monthly partition of bounces or observations, by its name.';

REVOKE EXECUTE ON FUNCTION mtabounce.ensure_partitions(timestamptz, timestamptz),
                           mtabounce.keep_sent_mail(date, date),
                           mtabounce.drop_month(text) FROM PUBLIC;
