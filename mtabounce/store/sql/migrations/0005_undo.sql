-- Words of operators that take back some bounces or additions only, and what an MTA tells.
-- depends: 0004_logs

ALTER TABLE mtabounce.decisions ADD COLUMN undoes bigint[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN mtabounce.decisions.undoes IS 'decisions.id of the additions that a remove takes back; where this and bounces are empty, it forgives all that was before.';
CREATE INDEX suppressions_since ON mtabounce.suppressions (since);

CREATE FUNCTION mtabounce.refusal(email text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT 'recipient is suppressed by mtabounce: '
           || CASE WHEN s.type IS NULL THEN 'added by an operator' ELSE s.reason END
           || to_char(s.since AT TIME ZONE 'UTC', '" since "YYYY-MM-DD')
           || coalesce(to_char(s.until AT TIME ZONE 'UTC', '" until "YYYY-MM-DD'), '')
      FROM mtabounce.suppressions AS s
     WHERE s.recipient = lower(btrim($1))
       AND s.scope = 'all'
       AND (s.until IS NULL OR s.until > now())
$$;
COMMENT ON FUNCTION mtabounce.refusal(text) IS 'What a mail server says to refuse a mail to an address that is suppressed everywhere; no row where it is not.';
