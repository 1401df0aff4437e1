-- To whom each mail went, by its Message-ID, where that is asked for: complaints hide who complained.
-- depends: 0061_incident_events

CREATE TABLE mtabounce.sent_mail (
    message_id text NOT NULL,
    recipient text NOT NULL,
    sent_at timestamptz NOT NULL
) PARTITION BY RANGE (sent_at);
CREATE INDEX sent_mail_message_id ON mtabounce.sent_mail (message_id);

COMMENT ON TABLE mtabounce.sent_mail IS 'To whom mails went, as logs say; a partition a day, none where [sent_mail] does not ask for it.';
COMMENT ON COLUMN mtabounce.sent_mail.message_id IS 'Message-ID without angle brackets.';
COMMENT ON COLUMN mtabounce.sent_mail.recipient IS 'Whom it was sent to, normalized.';
COMMENT ON COLUMN mtabounce.sent_mail.sent_at IS 'When the next server took it.';

CREATE FUNCTION mtabounce.keep_sent_mail(since date, until date) RETURNS integer
LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION mtabounce.keep_sent_mail IS 'Make the partitions of sent_mail from one day (UTC) to another, and drop those before; all where it is not said from when. Gives how many were made or dropped.';
