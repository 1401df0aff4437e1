-- What the roles may. Run as a whole after each migration, by the owner of the tables: each
-- statement can be run again. The roles are made by store/roles.py; nobody can log in as one,
-- they are granted to the users who can.

-- name: find_roles
-- Which of the given roles are there.
SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s::text[]);

-- name: grant_schema
-- All three see the schema and what it has had; functions run with their caller's rights, but for
-- those that make and drop partitions: administrators alone may call them.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA mtabounce TO mtabounce_ingest, mtabounce_read, mtabounce_admin;
    REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mtabounce FROM PUBLIC;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mtabounce TO mtabounce_ingest, mtabounce_read, mtabounce_admin;
    REVOKE EXECUTE ON FUNCTION mtabounce.ensure_partitions, mtabounce.keep_sent_mail, mtabounce.drop_month
      FROM mtabounce_ingest, mtabounce_read;
    GRANT SELECT ON mtabounce.migrations TO mtabounce_ingest, mtabounce_read, mtabounce_admin;
END
$$;

-- name: grant_ingest
-- A receiver on another host puts inputs into the inbox, and reads back their numbers only.
GRANT INSERT, SELECT (id) ON mtabounce.inputs TO mtabounce_ingest;

-- name: grant_read
-- Readers see everything but the mails themselves, and secrets.
DO $$
DECLARE
    hidden  record;
    visible text;
BEGIN
    GRANT SELECT ON ALL TABLES IN SCHEMA mtabounce TO mtabounce_read;
    ALTER DEFAULT PRIVILEGES IN SCHEMA mtabounce GRANT SELECT ON TABLES TO mtabounce_read;
    FOR hidden IN
        SELECT * FROM (VALUES ('inputs', ARRAY['content']),
                              ('webhook_refusals', ARRAY['body', 'headers']),
                              ('api_tokens', ARRAY['token_hash']),
                              ('return_path_keys', ARRAY['inner_pad', 'outer_pad']),
                              ('erasure_key', ARRAY['inner_pad', 'outer_pad'])) AS t (name, columns)
    LOOP
        SELECT string_agg(quote_ident(attname), ', ') INTO visible
          FROM pg_attribute
         WHERE attrelid = format('mtabounce.%I', hidden.name)::regclass
           AND attnum > 0 AND NOT attisdropped AND attname <> ALL (hidden.columns);
        EXECUTE format('REVOKE SELECT ON mtabounce.%I FROM mtabounce_read', hidden.name);
        EXECUTE format('GRANT SELECT (%s) ON mtabounce.%I TO mtabounce_read', visible, hidden.name);
    END LOOP;
END
$$;

-- name: grant_admin
-- Administrators, and the service where it does not own the tables, do everything but change the
-- schema, and see secrets.
DO $$
BEGIN
    GRANT ALL ON ALL TABLES IN SCHEMA mtabounce TO mtabounce_admin;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA mtabounce TO mtabounce_admin;
    REVOKE ALL ON mtabounce.return_path_keys FROM mtabounce_admin;
    GRANT SELECT (id, domain, lifetime, signs) ON mtabounce.return_path_keys TO mtabounce_admin;
    REVOKE ALL ON mtabounce.erasure_key FROM mtabounce_admin;
    GRANT SELECT (single, seed) ON mtabounce.erasure_key TO mtabounce_admin;
    ALTER DEFAULT PRIVILEGES IN SCHEMA mtabounce GRANT ALL ON TABLES TO mtabounce_admin;
    ALTER DEFAULT PRIVILEGES IN SCHEMA mtabounce GRANT ALL ON SEQUENCES TO mtabounce_admin;
END
$$;

-- name: grant_listmonk
-- The views in listmonk's shape, where they are there.
DO $$
BEGIN
    IF to_regnamespace('listmonk') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA listmonk TO mtabounce_read, mtabounce_admin;
        GRANT SELECT ON ALL TABLES IN SCHEMA listmonk TO mtabounce_read, mtabounce_admin;
    END IF;
END
$$;
