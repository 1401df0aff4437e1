-- What was read of logs, who waits for another attempt, and how deliveries went.
-- depends: 0003_return_path

CREATE TABLE mtabounce.log_files (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL,
    path           text NOT NULL,
    reader         text NOT NULL CHECK (reader IN ('tail', 'import')),
    device         numeric(20) NOT NULL,
    inode          numeric(20) NOT NULL,
    head           bytea NOT NULL,
    head_length    integer NOT NULL,
    position       bigint NOT NULL,
    before         bytea NOT NULL,
    skipping       boolean NOT NULL DEFAULT false,
    finished       boolean NOT NULL DEFAULT false,
    state          bytea NOT NULL DEFAULT '',
    state_position bigint NOT NULL DEFAULT 0,
    journal        text NOT NULL DEFAULT '',
    lines          bigint NOT NULL DEFAULT 0,
    recognized     bigint NOT NULL DEFAULT 0,
    deliveries     bigint NOT NULL DEFAULT 0,
    unreadable     bigint NOT NULL DEFAULT 0,
    skipped        bigint NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX log_files_name ON mtabounce.log_files (name);
CREATE INDEX log_files_head ON mtabounce.log_files (head, head_length);
COMMENT ON TABLE mtabounce.log_files IS 'How far each log file was read: this moves in the transaction that writes what was read.';
COMMENT ON COLUMN mtabounce.log_files.id IS 'Number of the file.';
COMMENT ON COLUMN mtabounce.log_files.name IS 'The log that it is a part of: the path in the configuration, or of the import.';
COMMENT ON COLUMN mtabounce.log_files.path IS 'Where it was last found; rotation renames it.';
COMMENT ON COLUMN mtabounce.log_files.reader IS 'Who reads it: tail or import.';
COMMENT ON COLUMN mtabounce.log_files.device IS 'Device that it was last seen on.';
COMMENT ON COLUMN mtabounce.log_files.inode IS 'Inode that it last had; file systems use these again.';
COMMENT ON COLUMN mtabounce.log_files.head IS 'Digest of its first bytes.';
COMMENT ON COLUMN mtabounce.log_files.head_length IS 'How many bytes head is of.';
COMMENT ON COLUMN mtabounce.log_files.position IS 'How many bytes, uncompressed, were read and are committed.';
COMMENT ON COLUMN mtabounce.log_files.before IS 'The last bytes before position: is it still the same file?';
COMMENT ON COLUMN mtabounce.log_files.skipping IS 'Whether position is inside a line that is too long.';
COMMENT ON COLUMN mtabounce.log_files.finished IS 'Whether nothing more is expected in it.';
COMMENT ON COLUMN mtabounce.log_files.state IS 'Messages that were under way at state_position.';
COMMENT ON COLUMN mtabounce.log_files.state_position IS 'Where state was noted; what lies between it and position is read again for it.';
COMMENT ON COLUMN mtabounce.log_files.journal IS 'Cursor of journald; empty where it is a file.';
COMMENT ON COLUMN mtabounce.log_files.lines IS 'Lines read.';
COMMENT ON COLUMN mtabounce.log_files.recognized IS 'Lines that say something of a message.';
COMMENT ON COLUMN mtabounce.log_files.deliveries IS 'Attempts to deliver among them.';
COMMENT ON COLUMN mtabounce.log_files.unreadable IS 'Attempts to deliver that were not understood.';
COMMENT ON COLUMN mtabounce.log_files.skipped IS 'Lines that were too long.';
COMMENT ON COLUMN mtabounce.log_files.created_at IS 'When it was first read.';
COMMENT ON COLUMN mtabounce.log_files.updated_at IS 'When it was last read.';

CREATE TABLE mtabounce.pending_deliveries (
    host                text NOT NULL,
    queue_id            text NOT NULL,
    instance            text NOT NULL,
    final_recipient     text NOT NULL,
    original_recipient  text NOT NULL,
    reverse_path        text,
    original_message_id text NOT NULL,
    status              text NOT NULL,
    diagnostic_code     text NOT NULL,
    command             text NOT NULL,
    remote_mta          text NOT NULL,
    attempts            integer NOT NULL,
    first_deferred_at   timestamptz NOT NULL,
    occurred_at         timestamptz NOT NULL,
    PRIMARY KEY (host, queue_id, instance, final_recipient)
);
CREATE INDEX pending_deliveries_occurred_at ON mtabounce.pending_deliveries USING brin (occurred_at);
COMMENT ON TABLE mtabounce.pending_deliveries IS 'Who waits in the queue of an MTA for another attempt: no bounce yet.';
COMMENT ON COLUMN mtabounce.pending_deliveries.host IS 'Host of the MTA, as its log says.';
COMMENT ON COLUMN mtabounce.pending_deliveries.queue_id IS 'Queue id of the message.';
COMMENT ON COLUMN mtabounce.pending_deliveries.instance IS 'Name of the MTA, where several run on a host.';
COMMENT ON COLUMN mtabounce.pending_deliveries.final_recipient IS 'The recipient as the MTA delivers to it.';
COMMENT ON COLUMN mtabounce.pending_deliveries.original_recipient IS 'The recipient as it was mailed; empty: the same.';
COMMENT ON COLUMN mtabounce.pending_deliveries.reverse_path IS 'Sender of the envelope; empty: the message is a bounce itself, NULL: not known.';
COMMENT ON COLUMN mtabounce.pending_deliveries.original_message_id IS 'Message-ID; empty: not known.';
COMMENT ON COLUMN mtabounce.pending_deliveries.status IS 'Enhanced status code of the last attempt; empty: not said.';
COMMENT ON COLUMN mtabounce.pending_deliveries.diagnostic_code IS 'Reply to the last attempt, or why there was none.';
COMMENT ON COLUMN mtabounce.pending_deliveries.command IS 'SMTP command that it answers; empty: not said.';
COMMENT ON COLUMN mtabounce.pending_deliveries.remote_mta IS 'Host that said it; empty: not known.';
COMMENT ON COLUMN mtabounce.pending_deliveries.attempts IS 'Attempts so far.';
COMMENT ON COLUMN mtabounce.pending_deliveries.first_deferred_at IS 'When the first attempt was made.';
COMMENT ON COLUMN mtabounce.pending_deliveries.occurred_at IS 'When the last attempt was made.';

CREATE TABLE mtabounce.delivery_stats (
    hour          timestamptz NOT NULL,
    domain        text NOT NULL,
    relay         text NOT NULL,
    sender_domain text NOT NULL,
    sent          bigint NOT NULL DEFAULT 0,
    deferred      bigint NOT NULL DEFAULT 0,
    bounced       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, domain, relay, sender_domain)
);
COMMENT ON TABLE mtabounce.delivery_stats IS 'How many attempts to deliver ended how, as the logs say: what rates are made of.';
COMMENT ON COLUMN mtabounce.delivery_stats.hour IS 'Full hour.';
COMMENT ON COLUMN mtabounce.delivery_stats.domain IS 'Domain of the recipients; empty: they have none.';
COMMENT ON COLUMN mtabounce.delivery_stats.relay IS 'Host that was asked to take them, or the transport; none where there was no connection.';
COMMENT ON COLUMN mtabounce.delivery_stats.sender_domain IS 'Domain of the envelope''s sender; empty: the null sender, or not known.';
COMMENT ON COLUMN mtabounce.delivery_stats.sent IS 'Attempts that succeeded.';
COMMENT ON COLUMN mtabounce.delivery_stats.deferred IS 'Attempts after which another is to be made.';
COMMENT ON COLUMN mtabounce.delivery_stats.bounced IS 'Attempts that failed for good.';
