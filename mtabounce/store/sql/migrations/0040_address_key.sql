-- Look-ups know an address however it is written, as what is stored was written once.
-- depends: 0036_sinks_seen

CREATE FUNCTION mtabounce.punycode(label text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
-- RFC 3492, with the names used there.
DECLARE
    points  integer[] := ARRAY (SELECT ascii(c) FROM regexp_split_to_table(label, '') AS c);
    basic   text := regexp_replace(label, '[^\x01-\x7f]', '', 'g');
    output  text := basic || CASE WHEN basic = '' THEN '' ELSE '-' END;
    handled integer := char_length(basic);
    n       integer := 128;
    delta   bigint := 0;
    bias    integer := 72;
    point   integer;
    k       integer;
    t       integer;
    q       bigint;
BEGIN
    WHILE handled < cardinality(points) LOOP
        SELECT min(p) INTO point FROM unnest(points) AS p WHERE p >= n;
        delta := delta + (point - n)::bigint * (handled + 1);
        n := point;
        FOREACH point IN ARRAY points LOOP
            delta := delta + CASE WHEN point < n THEN 1 ELSE 0 END;
            CONTINUE WHEN point <> n;
            q := delta;
            k := 36;
            LOOP
                t := least(greatest(k - bias, 1), 26);
                EXIT WHEN q < t;
                output := output || substr('abcdefghijklmnopqrstuvwxyz0123456789', (t + (q - t) % (36 - t))::integer + 1, 1);
                q := (q - t) / (36 - t);
                k := k + 36;
            END LOOP;
            output := output || substr('abcdefghijklmnopqrstuvwxyz0123456789', q::integer + 1, 1);
            delta := delta / CASE WHEN handled = char_length(basic) THEN 700 ELSE 2 END;
            delta := delta + delta / (handled + 1);
            k := 0;
            WHILE delta > 455 LOOP
                delta := delta / 35;
                k := k + 36;
            END LOOP;
            bias := k + (36 * delta / (delta + 38))::integer;
            delta := 0;
            handled := handled + 1;
        END LOOP;
        delta := delta + 1;
        n := n + 1;
    END LOOP;
    RETURN output;
END
$$;
COMMENT ON FUNCTION mtabounce.punycode(text) IS 'A label of a domain in the letters that DNS takes (RFC 3492), without xn--.';

CREATE FUNCTION mtabounce.unusual_address_key(email text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    address text := btrim(email, E' \t\r\n');
    name    text := lower(normalize(regexp_replace(address, '@[^@]*$', ''), NFC));
    host    text := rtrim(lower(substring(address FROM '@([^@]*)$')), '.');
    label   text;
    labels  text[] := '{}';
BEGIN
    IF host IS NULL THEN
        RETURN lower(address);
    END IF;
    IF name ~ '^"[a-z0-9!#$%&''*+/=?^_`{|}~.-]+"$' THEN
        name := btrim(name, '"');
    END IF;
    FOREACH label IN ARRAY string_to_array(replace(normalize(host, NFKC), U&'\3002', '.'), '.') LOOP
        IF octet_length(label) > char_length(label) THEN
            label := translate(label, U&'\00AD\034F\1806\180B\180C\180D\200B\200C\200D\2060\FEFF', '');
            label := normalize(lower(replace(replace(label, U&'\00DF', 'ss'), U&'\03C2', U&'\03C3')), NFKC);
        END IF;
        IF octet_length(label) > char_length(label) THEN
            label := 'xn--' || mtabounce.punycode(label);
        END IF;
        IF char_length(label) > 63 THEN
            RETURN lower(address);  -- no address: nothing is stored of it
        END IF;
        labels := labels || label;
    END LOOP;
    RETURN name || '@' || array_to_string(labels, '.');
END
$$;
COMMENT ON FUNCTION mtabounce.unusual_address_key(text) IS 'address_key() of an address that is more than plain ASCII.';

CREATE FUNCTION mtabounce.address_key(email text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length($1) = char_length($1) AND strpos($1, '"') = 0 AND rtrim($1, E'. \t\r\n') = $1
                THEN lower(ltrim($1, E' \t\r\n'))
                ELSE mtabounce.unusual_address_key($1) END
$$;
COMMENT ON FUNCTION mtabounce.address_key(text) IS 'How an address is stored: in lower case, its domain in A-labels (IDNA), without needless quotes, and a name in form NFC.';

CREATE OR REPLACE FUNCTION mtabounce.known_as(email text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    address text := mtabounce.address_key(email);
    hashed  text;
BEGIN
    SELECT e.recipient INTO hashed
      FROM mtabounce.erased AS e
     WHERE e.bucket = mtabounce.erased_bucket(address)
       AND e.recipient = mtabounce.erased_name(address);
    RETURN coalesce(hashed, address);
END
$$;
COMMENT ON FUNCTION mtabounce.known_as(text) IS 'What suppressions calls an address: address_key() of it, or a hash where it was erased.';

CREATE OR REPLACE FUNCTION mtabounce.check_recipients(emails text[], scope text DEFAULT 'all')
RETURNS TABLE (email text, type text, reason text, cause text, until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT asked.email, s.type, s.reason, s.cause, s.until
      FROM (SELECT given.email, mtabounce.address_key(given.email) AS address
              FROM unnest($1) AS given (email)
            OFFSET 0) AS asked  -- so that it is made once
      LEFT JOIN mtabounce.erased AS e
        ON e.bucket = hashtextextended(asked.address, (SELECT seed FROM mtabounce.erasure_key)) & 4294967295
      JOIN mtabounce.suppressions AS s
        ON s.recipient = CASE WHEN e.recipient IS NULL THEN asked.address
                              WHEN e.recipient = mtabounce.erased_name(asked.address) THEN e.recipient
                              ELSE asked.address END
     WHERE s.scope IN ('all', $2)
       AND (s.until IS NULL OR s.until > now())
$$;
COMMENT ON FUNCTION mtabounce.check_recipients(text[], text) IS 'Those of many addresses that are suppressed, for all mail or that of a scope, as they were given; once for each suppression.';

-- Whom return paths are for: an address as it is stored, or its hash where it was erased.
CREATE OR REPLACE FUNCTION mtabounce.return_path_id(email text, campaign text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    whom   text := mtabounce.known_as(return_path_id.email);
    named  text := coalesce(return_path_id.campaign, '');
    number bigint;
BEGIN
    SELECT p.id INTO number
      FROM mtabounce.return_paths AS p
     WHERE p.recipient = whom AND p.campaign = named AND p.made_at > now() - interval '1 day';
    IF number IS NULL THEN
        INSERT INTO mtabounce.return_paths AS p (recipient, campaign)
        VALUES (whom, named)
        ON CONFLICT (recipient, campaign) DO UPDATE SET made_at = now()
        RETURNING p.id INTO number;
    END IF;
    RETURN number;
END
$$;
