-- Whom not to mail, of many addresses, in less time: each is written as it is stored in fewer steps,
-- and those that may have been erased are found without a join.
-- depends: 0043_refused

CREATE OR REPLACE FUNCTION mtabounce.address_key(email text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- Plain ones at once: ASCII, no quotes, nothing but letters, digits or so at either end. To
    -- lower them as C does is a third of the work, and for ASCII the same.
    SELECT CASE WHEN octet_length($1) = char_length($1) AND strpos($1, '"') = 0 AND ascii($1) > 32
                     AND substr($1, octet_length($1)) COLLATE "C" > '.'
                THEN lower($1 COLLATE "C") COLLATE "default"
                ELSE mtabounce.unusual_address_key($1) END
$$;

-- It stays one plain query, which PostgreSQL can put into that of the caller.
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
                      FROM unnest($1) AS given (email)
                    OFFSET 0) AS written  -- so that each is made once
            OFFSET 0) AS asked
      JOIN mtabounce.suppressions AS s ON s.recipient = asked.address
     WHERE s.scope IN ('all', $2)
       AND (s.until IS NULL OR s.until > now())
$$;
