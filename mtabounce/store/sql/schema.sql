-- Made by `make docs` from the migrations: change those, not this file.

CREATE SCHEMA listmonk;

CREATE SCHEMA mtabounce;

CREATE FUNCTION mtabounce.address_key(email text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    -- Plain ones at once: ASCII, no quotes, nothing but letters, digits or so at either end. To
    -- lower them as C does is a third of the work, and for ASCII the same.
    SELECT CASE WHEN octet_length($1) = char_length($1) AND strpos($1, '"') = 0 AND ascii($1) > 32
                     AND substr($1, octet_length($1)) COLLATE "C" > '.'
                THEN lower($1 COLLATE "C") COLLATE "default"
                ELSE mtabounce.unusual_address_key($1) END
$_$;

CREATE FUNCTION mtabounce.base32(octets bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    -- 80 bits as 16 digits.
    SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyz234567',
                             substring(('x' || encode(substr(octets, 1, 10), 'hex'))::bit(80)
                                       FROM 5 * place + 1 FOR 5)::integer + 1, 1), '' ORDER BY place)
      FROM generate_series(0, 15) AS place
$$;

CREATE FUNCTION mtabounce.base32(number bigint) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE WHEN number = 0 THEN 'a' ELSE
        (SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyz234567', (number >> 5 * place & 31)::integer + 1, 1),
                           '' ORDER BY place DESC)
           FROM generate_series(0, 12) AS place
          WHERE number >> 5 * place > 0) END
$$;

CREATE FUNCTION mtabounce.check_recipients(emails text[], scope text DEFAULT 'all'::text) RETURNS TABLE(email text, type text, reason text, cause text, until timestamp with time zone)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
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
     WHERE s.scope IN ('all', mtabounce.scope_key($2))
       AND (s.until IS NULL OR s.until > now())
$_$;

CREATE FUNCTION mtabounce.domain_letters(domain text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
    -- NFKD makes a ς of six other signs, for which UTS #46 has a σ.
    SELECT normalize(translate(regexp_replace(
        mtabounce.small_letters(normalize(translate($1, U&'\03F2\+01D6D3\+01D70D\+01D747\+01D781\+01D7BB', 'σσσσσσ'), NFKD)),
        '[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2064\u206a-\u206f\ufe00-\ufe0f\ufeff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0100-\U000e01ef]', '', 'g'),
        U&'\0345ᲀᲁᲂᲃᲄᲅᲆᲇᲈ。'
        'ꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿᏸᏹᏺᏻᏼᏽ',
        'ιвдосттъѣꙋ.'
        'ᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯᏰᏱᏲᏳᏴᏵ'), NFC)
$_$;

CREATE FUNCTION mtabounce.drop_month(partition text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION mtabounce.ensure_partitions(since timestamp with time zone, until timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    parent text;
    timed  text;
    child  text;
    month  timestamptz;
    made   integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mtabounce.ensure_partitions'));
    FOR parent, timed IN VALUES ('bounces', 'first_seen_at'), ('observations', 'occurred_at') LOOP
        FOR month IN
            SELECT generate_series(date_trunc('month', since AT TIME ZONE 'UTC'),
                                   until AT TIME ZONE 'UTC', '1 month') AT TIME ZONE 'UTC'
        LOOP
            child := parent || '_' || to_char(month AT TIME ZONE 'UTC', '"y"YYYY"m"MM');
            CONTINUE WHEN to_regclass('mtabounce.' || child) IS NOT NULL;
            EXECUTE format('CREATE TABLE mtabounce.%I (LIKE mtabounce.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
            EXECUTE format('WITH moved AS (DELETE FROM mtabounce.%I WHERE %I >= %L AND %I < %L RETURNING *)'
                           ' INSERT INTO mtabounce.%I SELECT * FROM moved',
                           parent || '_default', timed, month, timed, month + interval '1 month', child);
            EXECUTE format('ALTER TABLE mtabounce.%I ATTACH PARTITION mtabounce.%I FOR VALUES FROM (%L) TO (%L)',
                           parent, child, month, month + interval '1 month');
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION mtabounce.erased_bucket(recipient text) RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
    SELECT hashtextextended($1, (SELECT seed FROM mtabounce.erasure_key)) & 4294967295
$_$;

CREATE FUNCTION mtabounce.erased_name(recipient text) RETURNS text
    LANGUAGE sql STABLE STRICT SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to($1, 'UTF8'))), 'hex') || '@erased.invalid'
      FROM mtabounce.erasure_key AS k
$_$;

CREATE FUNCTION mtabounce.is_suppressed(email text, scope text DEFAULT 'all'::text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
    SELECT EXISTS (
        SELECT 1
          FROM mtabounce.suppressions AS s
         WHERE s.recipient = mtabounce.known_as($1)
           AND s.scope IN ('all', mtabounce.scope_key($2))
           AND (s.until IS NULL OR s.until > now())
    )
$_$;

CREATE FUNCTION mtabounce.keep_sent_mail(since date, until date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    child   text;
    day     date;
    changed integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('mtabounce.keep_sent_mail'));
    FOR child IN
        SELECT c.relname
          FROM pg_inherits AS i
          JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'mtabounce.sent_mail'::regclass
           AND (since IS NULL OR c.relname < 'sent_mail_' || to_char(since, '"y"YYYY"m"MM"d"DD'))
    LOOP
        EXECUTE format('DROP TABLE mtabounce.%I', child);
        changed := changed + 1;
    END LOOP;
    FOR day IN SELECT generate_series(since, until, '1 day') LOOP
        child := 'sent_mail_' || to_char(day, '"y"YYYY"m"MM"d"DD');
        CONTINUE WHEN to_regclass('mtabounce.' || child) IS NOT NULL;
        EXECUTE format('CREATE TABLE mtabounce.%I PARTITION OF mtabounce.sent_mail FOR VALUES FROM (%L) TO (%L)',
                       child, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END
$$;

CREATE FUNCTION mtabounce.known_as(email text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
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

CREATE FUNCTION mtabounce.punycode(label text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION mtabounce.refusal(email text) RETURNS SETOF text
    LANGUAGE sql STABLE ROWS 1 PARALLEL SAFE
    AS $_$
    SELECT 'recipient is suppressed by mtabounce: '
           || CASE WHEN s.type IS NULL THEN 'added by an operator' ELSE s.reason END
           || to_char(s.since AT TIME ZONE 'UTC', '" since "YYYY-MM-DD')
           || coalesce(to_char(s.until AT TIME ZONE 'UTC', '" until "YYYY-MM-DD'), '')
      FROM mtabounce.suppressions AS s
     WHERE s.recipient = mtabounce.known_as($1)
       AND s.scope = 'all'
       AND (s.until IS NULL OR s.until > now())
$_$;

CREATE FUNCTION mtabounce.return_path(email text, campaign text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION mtabounce.return_path_id(email text, campaign text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION mtabounce.scope_key(scope text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT CASE WHEN starts_with($1, 'list:') THEN lower($1) ELSE $1 END
$_$;

CREATE FUNCTION mtabounce.small_letters(word text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
    -- All letters of Unicode 14 that are not made of others: lower() knows them in some locales only.
    SELECT translate(lower($1 COLLATE "C"),
        'ÆÐØÞĐĦĲĿŁŊŒŦƁƂƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƢƤƦƧƩƬƮƱƲƳƵƷƸƼǄǅǇǈǊǋǤǱǲǶǷȜȠȢȤȺȻȽȾɁɃɄɅɆɈɊɌɎͰͲͶͿΑΒΓΔΕΖΗΘΙΚΛΜ'
        'ΝΞΟΠΡΣΤΥΦΧΨΩϏϘϚϜϞϠϢϤϦϨϪϬϮϴϷϹϺϽϾϿЂЄЅІЈЉЊЋЏАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѸѺѼѾҀҊҌ'
        'ҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӃӅӇӉӋӍӔӘӠӨӶӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊ'
        'ՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅ'
        'ᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯᏰᏱᏲᏳᏴᏵᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩᲪᲫᲬᲭᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹ'
        'ᲺᲽᲾᲿẞỺỼỾℲⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫⅬⅭⅮⅯↃⒶⒷⒸⒹⒺⒻⒼⒽⒾⒿⓀⓁⓂⓃⓄⓅⓆⓇⓈⓉⓊⓋⓌⓍⓎⓏⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌⰍⰎⰏⰐⰑⰒⰓⰔⰕⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥ'
        'ⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀꙂꙄꙆꙈꙊꙌꙎꙐꙒꙔꙖ'
        'ꙘꙚꙜꙞꙠꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻꝽꝾꞀꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭꞮ'
        'ꞰꞱꞲꞳꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟐꟖꟘꟵＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚𐐛𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲'
        '𐒳𐒴𐒵𐒶𐒷𐒸𐒹𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏𐲐𐲑𐲒𐲓𐲔𐲕'
        '𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡𐲢𐲣𐲤𐲥𐲦𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊𖹋𖹌𖹍𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜'
        '𖹝𖹞𖹟𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡',
        'æðøþđħĳŀłŋœŧɓƃƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵƣƥʀƨʃƭʈʊʋƴƶʒƹƽǆǆǉǉǌǌǥǳǳƕƿȝƞȣȥⱥȼƚⱦɂƀʉʌɇɉɋɍɏͱͳͷϳαβγδεζηθικλμ'
        'νξοπρστυφχψωϗϙϛϝϟϡϣϥϧϩϫϭϯθϸϲϻͻͼͽђєѕіјљњћџабвгдежзиклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѹѻѽѿҁҋҍ'
        'ҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӄӆӈӊӌӎӕәӡөӷӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯաբգդեզէըթժիլխծկհձղճմյնշոչպ'
        'ջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕ'
        'ꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿᏸᏹᏺᏻᏼᏽაბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰჱჲჳჴჵჶჷჸჹ'
        'ჺჽჾჿßỻỽỿⅎⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻⅼⅽⅾⅿↄⓐⓑⓒⓓⓔⓕⓖⓗⓘⓙⓚⓛⓜⓝⓞⓟⓠⓡⓢⓣⓤⓥⓦⓧⓨⓩⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼⰽⰾⰿⱀⱁⱂⱃⱄⱅⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕ'
        'ⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕꙗ'
        'ꙙꙛꙝꙟꙡꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼᵹꝿꞁꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬɪ'
        'ʞʇʝꭓꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊꟑꟗꟙꟶａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂𐑃𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚'
        '𐓛𐓜𐓝𐓞𐓟𐓠𐓡𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏𐳐𐳑𐳒𐳓𐳔𐳕'
        '𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡𐳢𐳣𐳤𐳥𐳦𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪𖹫𖹬𖹭𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼'
        '𖹽𖹾𖹿𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃')
$_$;

CREATE FUNCTION mtabounce.stable_uuid(word text) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
    SELECT CASE WHEN $1 ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
                THEN $1::uuid ELSE md5($1)::uuid END
$_$;

CREATE FUNCTION mtabounce.unusual_address_key(email text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    -- All that Python takes for a space.
    address text := btrim(email, U&'\0009\000A\000B\000C\000D\001C\001D\001E\001F\0020\0085\00A0\1680\2000\2001'
                                 '\2002\2003\2004\2005\2006\2007\2008\2009\200A\2028\2029\202F\205F\3000');
    written text := normalize(replace(mtabounce.small_letters(normalize(address, NFD)), 'ς', 'σ'), NFC);
    name    text := regexp_replace(written, '@[^@]*$', '');
    host    text := substring(address FROM '@([^@]*)$');
    label   text;
    labels  text[] := '{}';
BEGIN
    IF host IS NULL THEN
        RETURN written;
    END IF;
    IF name ~ '^"[a-z0-9!#$%&''*+/=?^_`{|}~.-]+"$' THEN
        name := btrim(name, '"');
    END IF;
    IF octet_length(host) = char_length(host) THEN
        RETURN name || '@' || rtrim(lower(host COLLATE "C"), '.');
    END IF;
    FOREACH label IN ARRAY string_to_array(rtrim(mtabounce.domain_letters(host), '.'), '.') LOOP
        IF octet_length(label) > char_length(label) THEN
            label := 'xn--' || mtabounce.punycode(left(label, 63));
            IF char_length(label) > 63 THEN
                RETURN written;  -- no address: nothing is stored of it
            END IF;
        END IF;
        labels := labels || label;
    END LOOP;
    RETURN name || '@' || array_to_string(labels, '.');
END
$_$;

CREATE SEQUENCE mtabounce.bounces_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE mtabounce.bounces (
    id bigint DEFAULT nextval('mtabounce.bounces_id_seq'::regclass) NOT NULL,
    recipient_id bigint NOT NULL,
    recipient text NOT NULL,
    type text NOT NULL,
    reason text NOT NULL,
    fault text,
    rule text NOT NULL,
    status text,
    reply_code smallint,
    diagnostic_code text DEFAULT ''::text NOT NULL,
    remote_mta text DEFAULT ''::text NOT NULL,
    original_message_id text DEFAULT ''::text NOT NULL,
    queue_id text DEFAULT ''::text NOT NULL,
    campaign_id bigint,
    trust text NOT NULL,
    sources text[] NOT NULL,
    observations integer DEFAULT 1 NOT NULL,
    decisive bytea NOT NULL,
    decisive_at timestamp with time zone NOT NULL,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bounces_fault_check CHECK ((fault = ANY (ARRAY['recipient'::text, 'destination'::text, 'sender'::text, 'content'::text, 'unknown'::text]))),
    CONSTRAINT bounces_trust_check CHECK ((trust = ANY (ARRAY['claimed'::text, 'likely'::text, 'proven'::text]))),
    CONSTRAINT bounces_type_check CHECK ((type = ANY (ARRAY['hard'::text, 'soft'::text, 'complaint'::text])))
)
PARTITION BY RANGE (first_seen_at);

CREATE VIEW listmonk.bounces AS
 SELECT id,
    recipient_id AS subscriber_id,
    campaign_id,
    type,
    COALESCE((meta ->> 'source'::text), regexp_replace((NULLIF(sources, '{api}'::text[]))[1], '^(webhook|pop3):'::text, ''::text), ''::text) AS source,
        CASE
            WHEN (meta ? 'meta'::text) THEN ((meta ->> 'meta'::text))::jsonb
            ELSE meta
        END AS meta,
    first_seen_at AS created_at
   FROM mtabounce.bounces b;

CREATE TABLE mtabounce.campaigns (
    id bigint NOT NULL,
    campaign text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE VIEW listmonk.campaigns AS
 SELECT id,
    mtabounce.stable_uuid(campaign) AS uuid,
    campaign AS name,
    created_at
   FROM mtabounce.campaigns c;

CREATE TABLE mtabounce.recipients (
    id bigint NOT NULL,
    recipient text NOT NULL,
    domain text NOT NULL,
    hard integer DEFAULT 0 NOT NULL,
    soft integer DEFAULT 0 NOT NULL,
    complaints integer DEFAULT 0 NOT NULL,
    last_bounce_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_delivered_at timestamp with time zone
)
WITH (fillfactor='50');

CREATE TABLE mtabounce.suppressions (
    recipient text NOT NULL,
    type text,
    reason text DEFAULT ''::text NOT NULL,
    cause text NOT NULL,
    scope text DEFAULT 'all'::text NOT NULL,
    action text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone,
    bounce_id bigint,
    decision_id bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT suppressions_type_check CHECK ((type = ANY (ARRAY['hard'::text, 'soft'::text, 'complaint'::text])))
);

CREATE VIEW listmonk.subscribers AS
 SELECT id,
    COALESCE(( SELECT mtabounce.stable_uuid((b.meta ->> 'subscriber'::text)) AS stable_uuid
           FROM mtabounce.bounces b
          WHERE ((b.recipient_id = r.id) AND (b.meta ? 'subscriber'::text) AND (b.trust = 'proven'::text))
          ORDER BY b.first_seen_at DESC
         LIMIT 1), mtabounce.stable_uuid(recipient)) AS uuid,
    recipient AS email,
    ''::text AS name,
    '{}'::jsonb AS attribs,
        CASE
            WHEN (EXISTS ( SELECT
               FROM mtabounce.suppressions s
              WHERE ((s.recipient = r.recipient) AND (s.scope = 'all'::text) AND ((s.until IS NULL) OR (s.until > now()))))) THEN 'blocklisted'::text
            ELSE 'enabled'::text
        END AS status,
    created_at,
    COALESCE(last_bounce_at, created_at) AS updated_at
   FROM mtabounce.recipients r;

CREATE VIEW mtabounce.active_suppressions AS
 SELECT recipient,
    type,
    reason,
    cause,
    scope,
    action,
    since,
    until,
    bounce_id,
    decision_id
   FROM mtabounce.suppressions
  WHERE ((until IS NULL) OR (until > now()));

CREATE TABLE mtabounce.api_tokens (
    id bigint NOT NULL,
    username text NOT NULL,
    token_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT api_tokens_scopes_check CHECK ((scopes <@ ARRAY['read'::text, 'ingest'::text, 'sign'::text, 'admin'::text])),
    CONSTRAINT api_tokens_token_hash_check CHECK ((octet_length(token_hash) = 32))
);

ALTER TABLE mtabounce.api_tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.api_tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.bounce_refs (
    key bytea NOT NULL,
    kind text NOT NULL,
    bounce_id bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE mtabounce.bounces_default (
    id bigint DEFAULT nextval('mtabounce.bounces_id_seq'::regclass) CONSTRAINT bounces_id_not_null NOT NULL,
    recipient_id bigint CONSTRAINT bounces_recipient_id_not_null NOT NULL,
    recipient text CONSTRAINT bounces_recipient_not_null NOT NULL,
    type text CONSTRAINT bounces_type_not_null NOT NULL,
    reason text CONSTRAINT bounces_reason_not_null NOT NULL,
    fault text,
    rule text CONSTRAINT bounces_rule_not_null NOT NULL,
    status text,
    reply_code smallint,
    diagnostic_code text DEFAULT ''::text CONSTRAINT bounces_diagnostic_code_not_null NOT NULL,
    remote_mta text DEFAULT ''::text CONSTRAINT bounces_remote_mta_not_null NOT NULL,
    original_message_id text DEFAULT ''::text CONSTRAINT bounces_original_message_id_not_null NOT NULL,
    queue_id text DEFAULT ''::text CONSTRAINT bounces_queue_id_not_null NOT NULL,
    campaign_id bigint,
    trust text CONSTRAINT bounces_trust_not_null NOT NULL,
    sources text[] CONSTRAINT bounces_sources_not_null NOT NULL,
    observations integer DEFAULT 1 CONSTRAINT bounces_observations_not_null NOT NULL,
    decisive bytea CONSTRAINT bounces_decisive_not_null NOT NULL,
    decisive_at timestamp with time zone CONSTRAINT bounces_decisive_at_not_null NOT NULL,
    meta jsonb DEFAULT '{}'::jsonb CONSTRAINT bounces_meta_not_null NOT NULL,
    first_seen_at timestamp with time zone CONSTRAINT bounces_first_seen_at_not_null NOT NULL,
    last_seen_at timestamp with time zone CONSTRAINT bounces_last_seen_at_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT now() CONSTRAINT bounces_created_at_not_null NOT NULL,
    CONSTRAINT bounces_fault_check CHECK ((fault = ANY (ARRAY['recipient'::text, 'destination'::text, 'sender'::text, 'content'::text, 'unknown'::text]))),
    CONSTRAINT bounces_trust_check CHECK ((trust = ANY (ARRAY['claimed'::text, 'likely'::text, 'proven'::text]))),
    CONSTRAINT bounces_type_check CHECK ((type = ANY (ARRAY['hard'::text, 'soft'::text, 'complaint'::text])))
);

CREATE TABLE mtabounce.breaker_counts (
    operator text NOT NULL,
    reason text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    bounce_id bigint NOT NULL,
    recipient_id bigint NOT NULL,
    recipient text NOT NULL,
    sender text DEFAULT ''::text NOT NULL
);

ALTER TABLE mtabounce.campaigns ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.campaigns_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.decisions (
    id bigint NOT NULL,
    recipient_id bigint NOT NULL,
    recipient text NOT NULL,
    key bytea NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    why text NOT NULL,
    scope text DEFAULT 'all'::text NOT NULL,
    type text,
    reason text DEFAULT ''::text NOT NULL,
    bounces bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    until timestamp with time zone,
    decided_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    undoes bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    settings text DEFAULT ''::text NOT NULL,
    cause text DEFAULT ''::text NOT NULL,
    consequence text DEFAULT ''::text NOT NULL,
    rule text DEFAULT ''::text NOT NULL,
    CONSTRAINT decisions_action_check CHECK ((action = ANY (ARRAY['suppress'::text, 'lift'::text, 'clear'::text, 'none'::text, 'add'::text, 'remove'::text, 'keep'::text]))),
    CONSTRAINT decisions_type_check CHECK ((type = ANY (ARRAY['hard'::text, 'soft'::text, 'complaint'::text])))
);

ALTER TABLE mtabounce.decisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.decisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.delivery_stats (
    hour timestamp with time zone NOT NULL,
    domain text NOT NULL,
    relay text NOT NULL,
    sender_domain text NOT NULL,
    sent bigint DEFAULT 0 NOT NULL,
    deferred bigint DEFAULT 0 NOT NULL,
    bounced bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE mtabounce.erased (
    recipient text NOT NULL,
    bucket bigint NOT NULL,
    erased_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE mtabounce.erasure_key (
    single boolean DEFAULT true NOT NULL,
    seed bigint NOT NULL,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL,
    CONSTRAINT erasure_key_inner_pad_check CHECK ((octet_length(inner_pad) = 64)),
    CONSTRAINT erasure_key_outer_pad_check CHECK ((octet_length(outer_pad) = 64)),
    CONSTRAINT erasure_key_single_check CHECK (single)
);

CREATE TABLE mtabounce.incident_bounces (
    bounce_id bigint NOT NULL,
    incident_id bigint NOT NULL,
    recipient_id bigint NOT NULL,
    recipient text NOT NULL,
    settled boolean DEFAULT false NOT NULL
);

CREATE TABLE mtabounce.incidents (
    id bigint NOT NULL,
    kind text NOT NULL,
    operator text NOT NULL,
    reason text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    said text DEFAULT ''::text NOT NULL,
    rule text DEFAULT ''::text NOT NULL,
    began_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    closed_by text DEFAULT ''::text NOT NULL,
    why text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    sender text DEFAULT ''::text NOT NULL,
    CONSTRAINT incidents_kind_check CHECK ((kind = ANY (ARRAY['jump'::text, 'blocked'::text]))),
    CONSTRAINT incidents_state_check CHECK ((state = ANY (ARRAY['open'::text, 'confirmed'::text, 'reverted'::text])))
);

ALTER TABLE mtabounce.incidents ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.incidents_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.inputs (
    id bigint NOT NULL,
    source text NOT NULL,
    reverse_path text,
    forward_paths text[] DEFAULT '{}'::text[] NOT NULL,
    peer text DEFAULT ''::text NOT NULL,
    trusted boolean DEFAULT false NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    content bytea NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    outcome text,
    parser text DEFAULT ''::text NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    processed_at timestamp with time zone,
    kept text DEFAULT 'full'::text NOT NULL,
    CONSTRAINT inputs_kept_check CHECK ((kept = ANY (ARRAY['full'::text, 'headers'::text, 'none'::text]))),
    CONSTRAINT inputs_outcome_check CHECK ((outcome = ANY (ARRAY['bounce'::text, 'complaint'::text, 'delayed'::text, 'delivered'::text, 'auto_reply'::text, 'challenge'::text, 'unsubscribe'::text, 'suppressed'::text, 'ignored'::text, 'unrecognized'::text]))),
    CONSTRAINT inputs_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'done'::text, 'failed'::text])))
);

ALTER TABLE mtabounce.inputs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.inputs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.log_files (
    id bigint NOT NULL,
    name text NOT NULL,
    path text NOT NULL,
    reader text NOT NULL,
    device numeric(20,0) NOT NULL,
    inode numeric(20,0) NOT NULL,
    head bytea NOT NULL,
    head_length integer NOT NULL,
    "position" bigint NOT NULL,
    before bytea NOT NULL,
    skipping boolean DEFAULT false NOT NULL,
    finished boolean DEFAULT false NOT NULL,
    state bytea DEFAULT '\x'::bytea NOT NULL,
    state_position bigint DEFAULT 0 NOT NULL,
    journal text DEFAULT ''::text NOT NULL,
    lines bigint DEFAULT 0 NOT NULL,
    recognized bigint DEFAULT 0 NOT NULL,
    deliveries bigint DEFAULT 0 NOT NULL,
    unreadable bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    trouble text DEFAULT ''::text NOT NULL,
    CONSTRAINT log_files_reader_check CHECK ((reader = ANY (ARRAY['tail'::text, 'import'::text])))
);

ALTER TABLE mtabounce.log_files ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.log_files_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.mailbox_uids (
    mailbox text NOT NULL,
    uid text NOT NULL,
    digest bytea,
    size bigint NOT NULL,
    state text NOT NULL,
    attempts smallint DEFAULT 1 NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT mailbox_uids_state_check CHECK ((state = ANY (ARRAY['stored'::text, 'other'::text, 'failed'::text])))
);

CREATE TABLE mtabounce.mailboxes (
    mailbox text NOT NULL,
    polled_at timestamp with time zone DEFAULT now() NOT NULL,
    succeeded_at timestamp with time zone,
    trouble text DEFAULT ''::text NOT NULL,
    refused_at timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL
);

CREATE TABLE mtabounce.migrations (
    migration_hash text NOT NULL,
    migration_id text NOT NULL,
    applied_at_utc timestamp without time zone NOT NULL
);

CREATE TABLE mtabounce.observations (
    recipient_id bigint NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    key bytea NOT NULL,
    bounce_id bigint,
    input_id bigint,
    source text NOT NULL,
    parser text NOT NULL,
    trust text NOT NULL,
    outcome text NOT NULL,
    type text,
    reason text NOT NULL,
    fault text,
    rule text NOT NULL,
    matched text DEFAULT ''::text NOT NULL,
    status text,
    reply_code smallint,
    final_recipient text NOT NULL,
    original_recipient text DEFAULT ''::text NOT NULL,
    action text,
    diagnostic_code text DEFAULT ''::text NOT NULL,
    remote_mta text DEFAULT ''::text NOT NULL,
    reporting_mta text DEFAULT ''::text NOT NULL,
    original_message_id text DEFAULT ''::text NOT NULL,
    queue_id text DEFAULT ''::text NOT NULL,
    campaign text DEFAULT ''::text NOT NULL,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT observations_fault_check CHECK ((fault = ANY (ARRAY['recipient'::text, 'destination'::text, 'sender'::text, 'content'::text, 'unknown'::text]))),
    CONSTRAINT observations_trust_check CHECK ((trust = ANY (ARRAY['claimed'::text, 'likely'::text, 'proven'::text]))),
    CONSTRAINT observations_type_check CHECK ((type = ANY (ARRAY['hard'::text, 'soft'::text, 'complaint'::text])))
)
PARTITION BY RANGE (occurred_at);

CREATE TABLE mtabounce.observations_default (
    recipient_id bigint CONSTRAINT observations_recipient_id_not_null NOT NULL,
    occurred_at timestamp with time zone CONSTRAINT observations_occurred_at_not_null NOT NULL,
    key bytea CONSTRAINT observations_key_not_null NOT NULL,
    bounce_id bigint,
    input_id bigint,
    source text CONSTRAINT observations_source_not_null NOT NULL,
    parser text CONSTRAINT observations_parser_not_null NOT NULL,
    trust text CONSTRAINT observations_trust_not_null NOT NULL,
    outcome text CONSTRAINT observations_outcome_not_null NOT NULL,
    type text,
    reason text CONSTRAINT observations_reason_not_null NOT NULL,
    fault text,
    rule text CONSTRAINT observations_rule_not_null NOT NULL,
    matched text DEFAULT ''::text CONSTRAINT observations_matched_not_null NOT NULL,
    status text,
    reply_code smallint,
    final_recipient text CONSTRAINT observations_final_recipient_not_null NOT NULL,
    original_recipient text DEFAULT ''::text CONSTRAINT observations_original_recipient_not_null NOT NULL,
    action text,
    diagnostic_code text DEFAULT ''::text CONSTRAINT observations_diagnostic_code_not_null NOT NULL,
    remote_mta text DEFAULT ''::text CONSTRAINT observations_remote_mta_not_null NOT NULL,
    reporting_mta text DEFAULT ''::text CONSTRAINT observations_reporting_mta_not_null NOT NULL,
    original_message_id text DEFAULT ''::text CONSTRAINT observations_original_message_id_not_null NOT NULL,
    queue_id text DEFAULT ''::text CONSTRAINT observations_queue_id_not_null NOT NULL,
    campaign text DEFAULT ''::text CONSTRAINT observations_campaign_not_null NOT NULL,
    facts jsonb DEFAULT '{}'::jsonb CONSTRAINT observations_facts_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT now() CONSTRAINT observations_created_at_not_null NOT NULL,
    CONSTRAINT observations_fault_check CHECK ((fault = ANY (ARRAY['recipient'::text, 'destination'::text, 'sender'::text, 'content'::text, 'unknown'::text]))),
    CONSTRAINT observations_trust_check CHECK ((trust = ANY (ARRAY['claimed'::text, 'likely'::text, 'proven'::text]))),
    CONSTRAINT observations_type_check CHECK ((type = ANY (ARRAY['hard'::text, 'soft'::text, 'complaint'::text])))
);

CREATE TABLE mtabounce.outbox (
    id bigint NOT NULL,
    sink text NOT NULL,
    event text NOT NULL,
    recipient text NOT NULL,
    payload jsonb NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone,
    CONSTRAINT outbox_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'sent'::text, 'dead'::text])))
);

ALTER TABLE mtabounce.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.pending_deliveries (
    host text NOT NULL,
    queue_id text NOT NULL,
    instance text NOT NULL,
    final_recipient text NOT NULL,
    original_recipient text NOT NULL,
    reverse_path text,
    original_message_id text NOT NULL,
    status text NOT NULL,
    diagnostic_code text NOT NULL,
    command text NOT NULL,
    remote_mta text NOT NULL,
    attempts integer NOT NULL,
    first_deferred_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone NOT NULL
);

ALTER TABLE mtabounce.recipients ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.recipients_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.return_path_keys (
    id text NOT NULL,
    domain text NOT NULL,
    lifetime smallint NOT NULL,
    signs boolean NOT NULL,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL,
    CONSTRAINT return_path_keys_id_check CHECK ((id ~ '^[a-z2-7]$'::text)),
    CONSTRAINT return_path_keys_inner_pad_check CHECK ((octet_length(inner_pad) = 64)),
    CONSTRAINT return_path_keys_lifetime_check CHECK (((lifetime >= 1) AND (lifetime <= 366))),
    CONSTRAINT return_path_keys_outer_pad_check CHECK ((octet_length(outer_pad) = 64))
);

CREATE TABLE mtabounce.return_paths (
    id bigint NOT NULL,
    recipient text NOT NULL,
    campaign text DEFAULT ''::text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT return_paths_campaign_check CHECK ((octet_length(campaign) <= 1000)),
    CONSTRAINT return_paths_recipient_check CHECK (((recipient ~ '^[^[:space:]]+@[^[:space:]@]+$'::text) AND (octet_length(recipient) <= 320)))
);

ALTER TABLE mtabounce.return_paths ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.return_paths_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.sent_mail (
    message_id text NOT NULL,
    recipient text NOT NULL,
    sent_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (sent_at);

CREATE TABLE mtabounce.sinks (
    name text NOT NULL,
    events text[] NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE mtabounce.webhook_refusals (
    id bigint NOT NULL,
    webhook text NOT NULL,
    refused_at timestamp with time zone NOT NULL,
    status smallint NOT NULL,
    why text NOT NULL,
    peer text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    size bigint NOT NULL
);

ALTER TABLE mtabounce.webhook_refusals ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mtabounce.webhook_refusals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE mtabounce.webhook_signatures (
    mark bytea NOT NULL,
    body bytea NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE mtabounce.webhooks (
    webhook text NOT NULL,
    accepted bigint DEFAULT 0 NOT NULL,
    accepted_at timestamp with time zone,
    refused bigint DEFAULT 0 NOT NULL,
    refused_at timestamp with time zone,
    why text DEFAULT ''::text NOT NULL
);

ALTER TABLE ONLY mtabounce.bounces ATTACH PARTITION mtabounce.bounces_default DEFAULT;

ALTER TABLE ONLY mtabounce.observations ATTACH PARTITION mtabounce.observations_default DEFAULT;

ALTER TABLE ONLY mtabounce.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.api_tokens
    ADD CONSTRAINT api_tokens_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY mtabounce.bounce_refs
    ADD CONSTRAINT bounce_refs_pkey PRIMARY KEY (key);

ALTER TABLE ONLY mtabounce.bounces
    ADD CONSTRAINT bounces_pkey PRIMARY KEY (recipient_id, first_seen_at, id);

ALTER TABLE ONLY mtabounce.bounces_default
    ADD CONSTRAINT bounces_default_pkey PRIMARY KEY (recipient_id, first_seen_at, id);

ALTER TABLE ONLY mtabounce.breaker_counts
    ADD CONSTRAINT breaker_counts_pkey PRIMARY KEY (operator, sender, reason, occurred_at, bounce_id);

ALTER TABLE ONLY mtabounce.campaigns
    ADD CONSTRAINT campaigns_campaign_key UNIQUE (campaign);

ALTER TABLE ONLY mtabounce.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.decisions
    ADD CONSTRAINT decisions_recipient_id_key_key UNIQUE (recipient_id, key);

ALTER TABLE ONLY mtabounce.delivery_stats
    ADD CONSTRAINT delivery_stats_pkey PRIMARY KEY (hour, domain, relay, sender_domain);

ALTER TABLE ONLY mtabounce.erased
    ADD CONSTRAINT erased_pkey PRIMARY KEY (recipient);

ALTER TABLE ONLY mtabounce.erasure_key
    ADD CONSTRAINT erasure_key_pkey PRIMARY KEY (single);

ALTER TABLE ONLY mtabounce.incident_bounces
    ADD CONSTRAINT incident_bounces_pkey PRIMARY KEY (bounce_id);

ALTER TABLE ONLY mtabounce.incidents
    ADD CONSTRAINT incidents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.inputs
    ADD CONSTRAINT inputs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.log_files
    ADD CONSTRAINT log_files_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.mailbox_uids
    ADD CONSTRAINT mailbox_uids_pkey PRIMARY KEY (mailbox, uid);

ALTER TABLE ONLY mtabounce.mailboxes
    ADD CONSTRAINT mailboxes_pkey PRIMARY KEY (mailbox);

ALTER TABLE ONLY mtabounce.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (migration_hash);

ALTER TABLE ONLY mtabounce.observations
    ADD CONSTRAINT observations_pkey PRIMARY KEY (recipient_id, occurred_at, key);

ALTER TABLE ONLY mtabounce.observations_default
    ADD CONSTRAINT observations_default_pkey PRIMARY KEY (recipient_id, occurred_at, key);

ALTER TABLE ONLY mtabounce.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.pending_deliveries
    ADD CONSTRAINT pending_deliveries_pkey PRIMARY KEY (host, queue_id, instance, final_recipient, original_recipient);

ALTER TABLE ONLY mtabounce.recipients
    ADD CONSTRAINT recipients_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.recipients
    ADD CONSTRAINT recipients_recipient_key UNIQUE (recipient);

ALTER TABLE ONLY mtabounce.return_path_keys
    ADD CONSTRAINT return_path_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.return_paths
    ADD CONSTRAINT return_paths_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.return_paths
    ADD CONSTRAINT return_paths_recipient_campaign_key UNIQUE (recipient, campaign);

ALTER TABLE ONLY mtabounce.sinks
    ADD CONSTRAINT sinks_pkey PRIMARY KEY (name);

ALTER TABLE ONLY mtabounce.suppressions
    ADD CONSTRAINT suppressions_pkey PRIMARY KEY (recipient, scope);

ALTER TABLE ONLY mtabounce.webhook_refusals
    ADD CONSTRAINT webhook_refusals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY mtabounce.webhook_signatures
    ADD CONSTRAINT webhook_signatures_pkey PRIMARY KEY (mark);

ALTER TABLE ONLY mtabounce.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (webhook);

CREATE INDEX bounce_refs_bounce_id ON mtabounce.bounce_refs USING btree (bounce_id);

CREATE INDEX bounce_refs_seen_at ON mtabounce.bounce_refs USING brin (seen_at);

CREATE INDEX bounces_campaign_id ON ONLY mtabounce.bounces USING btree (campaign_id) WHERE (campaign_id IS NOT NULL);

CREATE INDEX bounces_default_campaign_id_idx ON mtabounce.bounces_default USING btree (campaign_id) WHERE (campaign_id IS NOT NULL);

CREATE INDEX bounces_subscriber ON ONLY mtabounce.bounces USING btree (((meta ->> 'subscriber'::text))) WHERE (meta ? 'subscriber'::text);

CREATE INDEX bounces_default_expr_idx ON mtabounce.bounces_default USING btree (((meta ->> 'subscriber'::text))) WHERE (meta ? 'subscriber'::text);

CREATE INDEX bounces_first_seen_at ON ONLY mtabounce.bounces USING brin (first_seen_at);

CREATE INDEX bounces_default_first_seen_at_idx ON mtabounce.bounces_default USING brin (first_seen_at);

CREATE INDEX bounces_id ON ONLY mtabounce.bounces USING btree (id);

CREATE INDEX bounces_default_id_idx ON mtabounce.bounces_default USING btree (id);

CREATE INDEX breaker_counts_bounce_id ON mtabounce.breaker_counts USING btree (bounce_id);

CREATE INDEX breaker_counts_occurred_at ON mtabounce.breaker_counts USING brin (occurred_at);

CREATE INDEX decisions_created_at ON mtabounce.decisions USING brin (created_at);

CREATE INDEX decisions_keep ON mtabounce.decisions USING btree (recipient_id) WHERE (action = 'keep'::text);

CREATE INDEX erased_bucket ON mtabounce.erased USING btree (bucket);

CREATE INDEX incident_bounces_incident_id ON mtabounce.incident_bounces USING btree (incident_id);

CREATE INDEX incident_bounces_unsettled ON mtabounce.incident_bounces USING btree (bounce_id) WHERE (NOT settled);

CREATE UNIQUE INDEX incidents_open ON mtabounce.incidents USING btree (operator, sender, reason) WHERE (state = 'open'::text);

CREATE INDEX inputs_failed ON mtabounce.inputs USING btree (id) WHERE (state = 'failed'::text);

CREATE INDEX inputs_pending ON mtabounce.inputs USING btree (id) WHERE (state = 'pending'::text);

CREATE INDEX inputs_received_at ON mtabounce.inputs USING brin (received_at);

CREATE INDEX log_files_head ON mtabounce.log_files USING btree (head, head_length);

CREATE INDEX log_files_name ON mtabounce.log_files USING btree (name);

CREATE INDEX mailbox_uids_digest ON mtabounce.mailbox_uids USING btree (mailbox, digest) WHERE (state = 'stored'::text);

CREATE INDEX observations_bounce_id ON ONLY mtabounce.observations USING btree (bounce_id) WHERE (bounce_id IS NOT NULL);

CREATE INDEX observations_default_bounce_id_idx ON mtabounce.observations_default USING btree (bounce_id) WHERE (bounce_id IS NOT NULL);

CREATE INDEX observations_input_id ON ONLY mtabounce.observations USING btree (input_id) WHERE (input_id IS NOT NULL);

CREATE INDEX observations_default_input_id_idx ON mtabounce.observations_default USING btree (input_id) WHERE (input_id IS NOT NULL);

CREATE INDEX observations_message_id ON ONLY mtabounce.observations USING hash (original_message_id) WHERE (original_message_id <> ''::text);

CREATE INDEX observations_default_original_message_id_idx ON mtabounce.observations_default USING hash (original_message_id) WHERE (original_message_id <> ''::text);

CREATE INDEX outbox_dead ON mtabounce.outbox USING btree (id) WHERE (state = 'dead'::text);

CREATE INDEX outbox_pending ON mtabounce.outbox USING btree (sink, recipient, id) WHERE (state = 'pending'::text);

CREATE INDEX pending_deliveries_occurred_at ON mtabounce.pending_deliveries USING brin (occurred_at);

CREATE INDEX recipients_domain ON mtabounce.recipients USING btree (domain);

CREATE INDEX recipients_stable_uuid ON mtabounce.recipients USING btree (mtabounce.stable_uuid(recipient));

CREATE UNIQUE INDEX return_path_keys_signs ON mtabounce.return_path_keys USING btree (signs) WHERE signs;

CREATE INDEX return_paths_made_at ON mtabounce.return_paths USING brin (made_at);

CREATE INDEX sent_mail_message_id ON ONLY mtabounce.sent_mail USING btree (message_id);

CREATE INDEX suppressions_since ON mtabounce.suppressions USING btree (since);

CREATE INDEX suppressions_until ON mtabounce.suppressions USING btree (until) WHERE (until IS NOT NULL);

CREATE INDEX webhook_refusals_webhook ON mtabounce.webhook_refusals USING btree (webhook, id);

ALTER INDEX mtabounce.bounces_campaign_id ATTACH PARTITION mtabounce.bounces_default_campaign_id_idx;

ALTER INDEX mtabounce.bounces_subscriber ATTACH PARTITION mtabounce.bounces_default_expr_idx;

ALTER INDEX mtabounce.bounces_first_seen_at ATTACH PARTITION mtabounce.bounces_default_first_seen_at_idx;

ALTER INDEX mtabounce.bounces_id ATTACH PARTITION mtabounce.bounces_default_id_idx;

ALTER INDEX mtabounce.bounces_pkey ATTACH PARTITION mtabounce.bounces_default_pkey;

ALTER INDEX mtabounce.observations_bounce_id ATTACH PARTITION mtabounce.observations_default_bounce_id_idx;

ALTER INDEX mtabounce.observations_input_id ATTACH PARTITION mtabounce.observations_default_input_id_idx;

ALTER INDEX mtabounce.observations_message_id ATTACH PARTITION mtabounce.observations_default_original_message_id_idx;

ALTER INDEX mtabounce.observations_pkey ATTACH PARTITION mtabounce.observations_default_pkey;

ALTER TABLE ONLY mtabounce.decisions
    ADD CONSTRAINT decisions_recipient_id_fkey FOREIGN KEY (recipient_id) REFERENCES mtabounce.recipients(id);

ALTER TABLE ONLY mtabounce.incident_bounces
    ADD CONSTRAINT incident_bounces_incident_id_fkey FOREIGN KEY (incident_id) REFERENCES mtabounce.incidents(id);
