-- The inbox, the facts (observations), what they add up to (bounces), and whom they are about.
-- depends:

CREATE SCHEMA IF NOT EXISTS mtabounce;
COMMENT ON SCHEMA mtabounce IS 'Bounces of mail: raw inputs, what they say, and what they add up to. An API: columns keep their names.';

CREATE TABLE mtabounce.inputs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source        text NOT NULL,
    reverse_path  text,
    forward_paths text[] NOT NULL DEFAULT '{}',
    peer          text NOT NULL DEFAULT '',
    trusted       boolean NOT NULL DEFAULT false,
    received_at   timestamptz NOT NULL DEFAULT now(),
    content       bytea NOT NULL,
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'failed')),
    outcome       text CHECK (outcome IN ('bounce', 'complaint', 'delayed', 'delivered', 'auto_reply', 'challenge', 'unrecognized')),
    parser        text NOT NULL DEFAULT '',
    error         text NOT NULL DEFAULT '',
    processed_at  timestamptz
);
CREATE INDEX inputs_pending ON mtabounce.inputs (id) WHERE state = 'pending';
CREATE INDEX inputs_failed ON mtabounce.inputs (id) WHERE state = 'failed';
CREATE INDEX inputs_received_at ON mtabounce.inputs USING brin (received_at);
COMMENT ON TABLE mtabounce.inputs IS 'The inbox: each input as it was received. A row is committed before the sender is told that it may forget the input.';
COMMENT ON COLUMN mtabounce.inputs.id IS 'Number of the input, in order of arrival.';
COMMENT ON COLUMN mtabounce.inputs.source IS 'Which part received it: receiver, pipe, pop3:NAME, webhook:NAME, api, simulate.';
COMMENT ON COLUMN mtabounce.inputs.reverse_path IS 'MAIL FROM of the input (RFC 5321); empty: the null sender, as bounces have; NULL: not known.';
COMMENT ON COLUMN mtabounce.inputs.forward_paths IS 'RCPT TO of the input: our own addresses that it was sent to.';
COMMENT ON COLUMN mtabounce.inputs.peer IS 'IP address that handed it over, or unix for a Unix socket.';
COMMENT ON COLUMN mtabounce.inputs.trusted IS 'Whether the peer is one of our own mail servers, by the settings at that time.';
COMMENT ON COLUMN mtabounce.inputs.received_at IS 'When the source had all of it.';
COMMENT ON COLUMN mtabounce.inputs.content IS 'The bytes as received.';
COMMENT ON COLUMN mtabounce.inputs.state IS 'pending: waits for a worker; done: read, whatever it was; failed: could not be read, see error.';
COMMENT ON COLUMN mtabounce.inputs.outcome IS 'What it turned out to be; NULL until it is done.';
COMMENT ON COLUMN mtabounce.inputs.parser IS 'The parser that recognized it; empty where none did.';
COMMENT ON COLUMN mtabounce.inputs.error IS 'Why it failed, in one line; empty otherwise.';
COMMENT ON COLUMN mtabounce.inputs.processed_at IS 'When a worker was done with it; NULL while it is pending.';

CREATE TABLE mtabounce.recipients (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient      text NOT NULL UNIQUE,
    domain         text NOT NULL,
    hard           integer NOT NULL DEFAULT 0,
    soft           integer NOT NULL DEFAULT 0,
    complaints     integer NOT NULL DEFAULT 0,
    last_bounce_at timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX recipients_domain ON mtabounce.recipients (domain);
COMMENT ON TABLE mtabounce.recipients IS 'Every address that something was reported about, with its bounces counted.';
COMMENT ON COLUMN mtabounce.recipients.id IS 'Number of the recipient.';
COMMENT ON COLUMN mtabounce.recipients.recipient IS 'The address as it is compared: lower case, the domain as A-labels.';
COMMENT ON COLUMN mtabounce.recipients.domain IS 'Its domain; empty for a local name without one.';
COMMENT ON COLUMN mtabounce.recipients.hard IS 'Number of its bounces of type hard.';
COMMENT ON COLUMN mtabounce.recipients.soft IS 'Number of its bounces of type soft.';
COMMENT ON COLUMN mtabounce.recipients.complaints IS 'Number of its bounces of type complaint.';
COMMENT ON COLUMN mtabounce.recipients.last_bounce_at IS 'When its latest bounce happened; NULL: none did.';
COMMENT ON COLUMN mtabounce.recipients.created_at IS 'When it was first reported about.';

CREATE TABLE mtabounce.campaigns (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign   text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mtabounce.campaigns IS 'Campaigns that mails which bounced belong to, by the name in the header of the mail.';
COMMENT ON COLUMN mtabounce.campaigns.id IS 'Number of the campaign.';
COMMENT ON COLUMN mtabounce.campaigns.campaign IS 'Value of the campaign header (see headers.campaign in the configuration).';
COMMENT ON COLUMN mtabounce.campaigns.created_at IS 'When it was first seen.';

CREATE SEQUENCE mtabounce.bounces_id_seq;
COMMENT ON SEQUENCE mtabounce.bounces_id_seq IS 'Numbers of bounces.';

CREATE TABLE mtabounce.bounces (
    id                  bigint NOT NULL DEFAULT nextval('mtabounce.bounces_id_seq'),
    recipient_id        bigint NOT NULL,
    recipient           text NOT NULL,
    type                text NOT NULL CHECK (type IN ('hard', 'soft', 'complaint')),
    reason              text NOT NULL,
    fault               text CHECK (fault IN ('recipient', 'destination', 'sender', 'content', 'unknown')),
    rule                text NOT NULL,
    status              text,
    reply_code          smallint,
    diagnostic_code     text NOT NULL DEFAULT '',
    remote_mta          text NOT NULL DEFAULT '',
    original_message_id text NOT NULL DEFAULT '',
    queue_id            text NOT NULL DEFAULT '',
    campaign_id         bigint,
    trust               text NOT NULL CHECK (trust IN ('claimed', 'likely', 'proven')),
    sources             text[] NOT NULL,
    observations        integer NOT NULL DEFAULT 1,
    decisive            bytea NOT NULL,
    decisive_at         timestamptz NOT NULL,
    meta                jsonb NOT NULL DEFAULT '{}',
    first_seen_at       timestamptz NOT NULL,
    last_seen_at        timestamptz NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (recipient_id, first_seen_at, id)
) PARTITION BY RANGE (first_seen_at);
CREATE INDEX bounces_id ON mtabounce.bounces (id);
CREATE INDEX bounces_first_seen_at ON mtabounce.bounces USING brin (first_seen_at);
CREATE INDEX bounces_campaign_id ON mtabounce.bounces (campaign_id) WHERE campaign_id IS NOT NULL;
CREATE TABLE mtabounce.bounces_default PARTITION OF mtabounce.bounces DEFAULT;
COMMENT ON TABLE mtabounce.bounces_default IS 'Bounces of months that have no partition of their own.';
COMMENT ON TABLE mtabounce.bounces IS 'One row: one message that failed for one recipient, however many sources said so. Partitioned by month.';
COMMENT ON COLUMN mtabounce.bounces.id IS 'Number of the bounce.';
COMMENT ON COLUMN mtabounce.bounces.recipient_id IS 'recipients.id of the address that was mailed.';
COMMENT ON COLUMN mtabounce.bounces.recipient IS 'The address that was mailed, as recipients.recipient.';
COMMENT ON COLUMN mtabounce.bounces.type IS 'hard, soft or complaint; follows from reason.';
COMMENT ON COLUMN mtabounce.bounces.reason IS 'Why it failed: one of the reasons in docs/rules.md.';
COMMENT ON COLUMN mtabounce.bounces.fault IS 'Whose fault it was: recipient, destination, sender, content or unknown; NULL for complaints.';
COMMENT ON COLUMN mtabounce.bounces.rule IS 'Id of the rule that decided; mtabounce rules show explains it.';
COMMENT ON COLUMN mtabounce.bounces.status IS 'Effective enhanced status code (RFC 3463), such as 5.1.1; NULL: none is known.';
COMMENT ON COLUMN mtabounce.bounces.reply_code IS 'SMTP reply code, such as 550; NULL: none is known.';
COMMENT ON COLUMN mtabounce.bounces.diagnostic_code IS 'What the remote server, or the reporting one, said.';
COMMENT ON COLUMN mtabounce.bounces.remote_mta IS 'Host that refused the mail; empty: not known.';
COMMENT ON COLUMN mtabounce.bounces.original_message_id IS 'Message-ID of the mail that bounced, without angle brackets; empty: not known.';
COMMENT ON COLUMN mtabounce.bounces.queue_id IS 'Queue id of the mail that bounced at the server that reported it; empty: not known.';
COMMENT ON COLUMN mtabounce.bounces.campaign_id IS 'campaigns.id of the mail that bounced; NULL: not known.';
COMMENT ON COLUMN mtabounce.bounces.trust IS 'Best evidence behind it: proven, likely or claimed.';
COMMENT ON COLUMN mtabounce.bounces.sources IS 'Sources that reported it, sorted.';
COMMENT ON COLUMN mtabounce.bounces.observations IS 'Number of rows in observations that belong to it.';
COMMENT ON COLUMN mtabounce.bounces.decisive IS 'observations.key of the observation whose facts this row shows.';
COMMENT ON COLUMN mtabounce.bounces.decisive_at IS 'observations.occurred_at of that observation.';
COMMENT ON COLUMN mtabounce.bounces.meta IS 'Further facts of the mail that bounced, such as subject, subscriber, list_id.';
COMMENT ON COLUMN mtabounce.bounces.first_seen_at IS 'When the earliest observation happened, by its own time.';
COMMENT ON COLUMN mtabounce.bounces.last_seen_at IS 'When the latest observation happened, by its own time.';
COMMENT ON COLUMN mtabounce.bounces.created_at IS 'When the row was written.';

CREATE TABLE mtabounce.observations (
    recipient_id        bigint NOT NULL,
    occurred_at         timestamptz NOT NULL,
    key                 bytea NOT NULL,
    bounce_id           bigint,
    input_id            bigint,
    source              text NOT NULL,
    parser              text NOT NULL,
    trust               text NOT NULL CHECK (trust IN ('claimed', 'likely', 'proven')),
    outcome             text NOT NULL,
    type                text CHECK (type IN ('hard', 'soft', 'complaint')),
    reason              text NOT NULL,
    fault               text CHECK (fault IN ('recipient', 'destination', 'sender', 'content', 'unknown')),
    rule                text NOT NULL,
    matched             text NOT NULL DEFAULT '',
    status              text,
    reply_code          smallint,
    final_recipient     text NOT NULL,
    original_recipient  text NOT NULL DEFAULT '',
    action              text,
    diagnostic_code     text NOT NULL DEFAULT '',
    remote_mta          text NOT NULL DEFAULT '',
    reporting_mta       text NOT NULL DEFAULT '',
    original_message_id text NOT NULL DEFAULT '',
    queue_id            text NOT NULL DEFAULT '',
    campaign            text NOT NULL DEFAULT '',
    facts               jsonb NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (recipient_id, occurred_at, key)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX observations_bounce_id ON mtabounce.observations (bounce_id) WHERE bounce_id IS NOT NULL;
CREATE INDEX observations_input_id ON mtabounce.observations (input_id) WHERE input_id IS NOT NULL;
CREATE TABLE mtabounce.observations_default PARTITION OF mtabounce.observations DEFAULT;
COMMENT ON TABLE mtabounce.observations_default IS 'Observations of months that have no partition of their own.';
COMMENT ON TABLE mtabounce.observations IS 'What one input said about one recipient, with the verdict on it. Partitioned by month.';
COMMENT ON COLUMN mtabounce.observations.recipient_id IS 'recipients.id of the address that it is about.';
COMMENT ON COLUMN mtabounce.observations.occurred_at IS 'When it happened, by its own time; when it was received, where it does not say.';
COMMENT ON COLUMN mtabounce.observations.key IS 'Digest of what was said; the same for two copies of one mail, so that they count once.';
COMMENT ON COLUMN mtabounce.observations.bounce_id IS 'bounces.id that it belongs to; NULL for delays, auto-replies, successes.';
COMMENT ON COLUMN mtabounce.observations.input_id IS 'inputs.id that it was read from; NULL where its source keeps no inputs.';
COMMENT ON COLUMN mtabounce.observations.source IS 'inputs.source of that input.';
COMMENT ON COLUMN mtabounce.observations.parser IS 'The parser that read it.';
COMMENT ON COLUMN mtabounce.observations.trust IS 'How sure it is: proven, likely or claimed.';
COMMENT ON COLUMN mtabounce.observations.outcome IS 'bounce, complaint, delayed, delivered, auto_reply or challenge.';
COMMENT ON COLUMN mtabounce.observations.type IS 'hard, soft or complaint; NULL where it is no bounce.';
COMMENT ON COLUMN mtabounce.observations.reason IS 'Why: one of the reasons in docs/rules.md.';
COMMENT ON COLUMN mtabounce.observations.fault IS 'Whose fault it was; NULL where it is no failure.';
COMMENT ON COLUMN mtabounce.observations.rule IS 'Id of the rule that decided.';
COMMENT ON COLUMN mtabounce.observations.matched IS 'The words that the rule matched; empty where it looked at codes only.';
COMMENT ON COLUMN mtabounce.observations.status IS 'Effective enhanced status code (RFC 3463); NULL: none is known.';
COMMENT ON COLUMN mtabounce.observations.reply_code IS 'Effective SMTP reply code; NULL: none is known.';
COMMENT ON COLUMN mtabounce.observations.final_recipient IS 'Final-Recipient as reported (RFC 3464 §2.3.2).';
COMMENT ON COLUMN mtabounce.observations.original_recipient IS 'Original-Recipient as reported (RFC 3464 §2.3.1); empty: not said.';
COMMENT ON COLUMN mtabounce.observations.action IS 'Action as reported (RFC 3464 §2.3.3); NULL: not said.';
COMMENT ON COLUMN mtabounce.observations.diagnostic_code IS 'Diagnostic-Code as reported (RFC 3464 §2.3.6), or the words that stand for it.';
COMMENT ON COLUMN mtabounce.observations.remote_mta IS 'Remote-MTA as reported (RFC 3464 §2.3.5); empty: not said.';
COMMENT ON COLUMN mtabounce.observations.reporting_mta IS 'Reporting-MTA as reported (RFC 3464 §2.2.2); empty: not said.';
COMMENT ON COLUMN mtabounce.observations.original_message_id IS 'Message-ID of the mail it is about, without angle brackets; empty: not said.';
COMMENT ON COLUMN mtabounce.observations.queue_id IS 'Queue id of that mail at the reporting MTA; empty: not said.';
COMMENT ON COLUMN mtabounce.observations.campaign IS 'Campaign header of that mail; empty: not said.';
COMMENT ON COLUMN mtabounce.observations.facts IS 'Whatever else was reported, by the names of the RFCs.';
COMMENT ON COLUMN mtabounce.observations.created_at IS 'When the row was written.';

CREATE TABLE mtabounce.bounce_refs (
    key       bytea PRIMARY KEY,
    kind      text NOT NULL,
    bounce_id bigint NOT NULL,
    seen_at   timestamptz NOT NULL
);
CREATE INDEX bounce_refs_bounce_id ON mtabounce.bounce_refs (bounce_id);
CREATE INDEX bounce_refs_seen_at ON mtabounce.bounce_refs USING brin (seen_at);
COMMENT ON TABLE mtabounce.bounce_refs IS 'What bounces are known by: an observation that holds one of these belongs to that bounce.';
COMMENT ON COLUMN mtabounce.bounce_refs.key IS 'Digest of the kind, the identifier and the recipient.';
COMMENT ON COLUMN mtabounce.bounce_refs.kind IS 'envelope_id, message_id, queue_id or mail.';
COMMENT ON COLUMN mtabounce.bounce_refs.bounce_id IS 'bounces.id.';
COMMENT ON COLUMN mtabounce.bounce_refs.seen_at IS 'When the identifier was last seen; a queue id is good for ten days.';

CREATE FUNCTION mtabounce.ensure_partitions(since timestamptz, until timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
-- Rows that wait in the default partition move into the new one before it is attached.
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
COMMENT ON FUNCTION mtabounce.ensure_partitions(timestamptz, timestamptz) IS 'Makes the monthly partitions from since to until where they are missing; returns how many it made.';
