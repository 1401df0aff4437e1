-- Return paths that prove themselves: what they were made for, and the keys that sign them.
-- depends: 0002_policy

CREATE TABLE mtabounce.return_paths (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient text NOT NULL CHECK (recipient ~ '^[^[:space:]]+@[^[:space:]@]+$' AND octet_length(recipient) <= 320),
    campaign  text NOT NULL DEFAULT '' CHECK (octet_length(campaign) <= 1000),
    made_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (recipient, campaign)
);
CREATE INDEX return_paths_made_at ON mtabounce.return_paths USING brin (made_at);
COMMENT ON TABLE mtabounce.return_paths IS 'Whom and what each signed return path was made for. A bounce to it that names this recipient is proven.';
COMMENT ON COLUMN mtabounce.return_paths.id IS 'The number that the return path carries.';
COMMENT ON COLUMN mtabounce.return_paths.recipient IS 'The address that the mail went to, in lower case.';
COMMENT ON COLUMN mtabounce.return_paths.campaign IS 'The campaign that the mail was of; empty: none was named.';
COMMENT ON COLUMN mtabounce.return_paths.made_at IS 'When such a return path was last made, to the day.';

CREATE TABLE mtabounce.return_path_keys (
    id       text PRIMARY KEY CHECK (id ~ '^[a-z2-7]$'),
    domain   text NOT NULL,
    lifetime smallint NOT NULL CHECK (lifetime BETWEEN 1 AND 366),
    signs    boolean NOT NULL,
    inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
    outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64)
);
CREATE UNIQUE INDEX return_path_keys_signs ON mtabounce.return_path_keys (signs) WHERE signs;
REVOKE ALL ON mtabounce.return_path_keys FROM PUBLIC;
COMMENT ON TABLE mtabounce.return_path_keys IS 'The keys that return_path() signs with, as the configuration had them when the daemon last read it. For the owner only.';
COMMENT ON COLUMN mtabounce.return_path_keys.id IS 'The letter or digit that names the key in a return path.';
COMMENT ON COLUMN mtabounce.return_path_keys.domain IS 'The domain of the return paths.';
COMMENT ON COLUMN mtabounce.return_path_keys.lifetime IS 'For how many days a return path is good.';
COMMENT ON COLUMN mtabounce.return_path_keys.signs IS 'Whether new return paths are signed with it; one key does.';
COMMENT ON COLUMN mtabounce.return_path_keys.inner_pad IS 'Secret: the key, for the inner digest of HMAC (RFC 2104).';
COMMENT ON COLUMN mtabounce.return_path_keys.outer_pad IS 'Secret: the key, for the outer digest of HMAC.';

CREATE FUNCTION mtabounce.base32(octets bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    -- 80 bits as 16 digits.
    SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyz234567',
                             substring(('x' || encode(substr(octets, 1, 10), 'hex'))::bit(80)
                                       FROM 5 * place + 1 FOR 5)::integer + 1, 1), '' ORDER BY place)
      FROM generate_series(0, 15) AS place
$$;
COMMENT ON FUNCTION mtabounce.base32(bytea) IS 'The first 80 bits of octets as 16 digits of base32 (RFC 4648) in lower case.';

CREATE FUNCTION mtabounce.base32(number bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN number = 0 THEN 'a' ELSE
        (SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyz234567', (number >> 5 * place & 31)::integer + 1, 1),
                           '' ORDER BY place DESC)
           FROM generate_series(0, 12) AS place
          WHERE number >> 5 * place > 0) END
$$;
COMMENT ON FUNCTION mtabounce.base32(bigint) IS 'A number, not below 0, in base32 digits, the highest first.';

CREATE FUNCTION mtabounce.return_path_id(email text, campaign text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- The row is written when it is new, and once a day; a retry of the same mail writes nothing.
#variable_conflict use_column
DECLARE
    known_as text := lower(normalize(btrim(return_path_id.email), NFC));
    named    text := coalesce(return_path_id.campaign, '');
    number   bigint;
BEGIN
    SELECT p.id INTO number
      FROM mtabounce.return_paths AS p
     WHERE p.recipient = known_as AND p.campaign = named AND p.made_at > now() - interval '1 day';
    IF number IS NULL THEN
        INSERT INTO mtabounce.return_paths AS p (recipient, campaign)
        VALUES (known_as, named)
        ON CONFLICT (recipient, campaign) DO UPDATE SET made_at = now()
        RETURNING p.id INTO number;
    END IF;
    RETURN number;
END
$$;
COMMENT ON FUNCTION mtabounce.return_path_id(text, text) IS 'The number of the return path for a mail to email, of campaign; notes it where it is new.';

CREATE FUNCTION mtabounce.return_path(email text, campaign text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- The same as mtabounce/verp.py makes, with SHA-256 only: no extension has to be there.
DECLARE
    key   mtabounce.return_path_keys;
    day   integer;
    token text;
    mac   bytea;
BEGIN
    SELECT * INTO key FROM mtabounce.return_path_keys WHERE signs;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'mtabounce has no key to sign return paths with'
              USING HINT = 'Set domain and keys in [return_path] of its configuration, and start it.';
    END IF;
    day := ((now() AT TIME ZONE 'UTC')::date - DATE '1970-01-01' + key.lifetime) % 32768;
    token := key.id || right('aa' || mtabounce.base32(day::bigint), 3);
    mac := convert_to('v1|' || token || '|', 'UTF8');
    token := token || mtabounce.base32(mtabounce.return_path_id(email, campaign));
    mac := mac || convert_to(substr(token, 5) || '|' || key.domain, 'UTF8');
    mac := sha256(key.outer_pad || sha256(key.inner_pad || mac));
    RETURN 'b+' || token || '-' || mtabounce.base32(mac) || '@' || key.domain;
END
$$;
COMMENT ON FUNCTION mtabounce.return_path(text, text) IS 'The signed return path (MAIL FROM) for a mail to email, of campaign. A bounce to it is proven, and tied to both.';
REVOKE EXECUTE ON FUNCTION mtabounce.return_path(text, text), mtabounce.return_path_id(text, text) FROM PUBLIC;
