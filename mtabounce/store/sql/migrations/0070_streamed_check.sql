-- Whom not to mail, of many addresses: they are read one by one, not first put into a file of their own.
-- depends: 0061_incident_events

CREATE OR REPLACE FUNCTION mtabounce.check_recipients(emails text[], scope text DEFAULT 'all')
RETURNS TABLE (email text, type text, reason text, cause text, until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT asked.email, s.type, s.reason, s.cause, s.until
      FROM (SELECT written.email,
                   CASE WHEN hashtextextended(written.address, (SELECT k.seed FROM mtabounce.erasure_key AS k)) & 4294967295
                             IN (SELECT e.bucket FROM mtabounce.erased AS e)
                        THEN mtabounce.known_as(written.address)
                        ELSE written.address END AS address
              FROM (SELECT given.email, mtabounce.address_key(given.email) AS address
                      FROM (SELECT unnest($1) AS email) AS given  -- in FROM, a million would go through a file
                    OFFSET 0) AS written  -- so that each is made once
            OFFSET 0) AS asked
      JOIN mtabounce.suppressions AS s ON s.recipient = asked.address
     WHERE s.scope IN ('all', $2)
       AND (s.until IS NULL OR s.until > now())
$$;
