-- check_recipients() hashes only the addresses that agree in the bucket, in one pass.
-- depends: 0030_erased

CREATE OR REPLACE FUNCTION mtabounce.check_recipients(emails text[], scope text DEFAULT 'all')
RETURNS TABLE (email text, type text, reason text, cause text, until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT asked.email, s.type, s.reason, s.cause, s.until
      FROM (SELECT given.email, lower(btrim(given.email)) AS address
              FROM unnest($1) AS given (email)
            OFFSET 0) AS asked  -- so that it is lowered once
      LEFT JOIN mtabounce.erased AS e
        ON e.bucket = hashtextextended(asked.address, (SELECT seed FROM mtabounce.erasure_key)) & 4294967295
      JOIN mtabounce.suppressions AS s
        ON s.recipient = CASE WHEN e.recipient IS NULL THEN asked.address
                              WHEN e.recipient = mtabounce.erased_name(asked.address) THEN e.recipient
                              ELSE asked.address END
     WHERE s.scope IN ('all', $2)
       AND (s.until IS NULL OR s.until > now())
$$;
