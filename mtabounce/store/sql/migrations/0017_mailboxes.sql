-- How polling stands with each mailbox, for all hosts and over restarts.
-- depends: 0010_api

CREATE TABLE mtabounce.mailboxes (
    mailbox      text PRIMARY KEY,
    polled_at    timestamptz NOT NULL DEFAULT now(),
    succeeded_at timestamptz,
    trouble      text NOT NULL DEFAULT '',
    refused_at   timestamptz[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE mtabounce.mailboxes IS 'How polling stands with each mailbox. A mailbox without a row here was never polled.';
COMMENT ON COLUMN mtabounce.mailboxes.mailbox IS 'The mailbox, as pop3://username@host:port.';
COMMENT ON COLUMN mtabounce.mailboxes.polled_at IS 'When it was last looked into, or tried to.';
COMMENT ON COLUMN mtabounce.mailboxes.succeeded_at IS 'When all in it had been fetched; NULL: never yet.';
COMMENT ON COLUMN mtabounce.mailboxes.trouble IS 'Why the last look failed; empty: it did not.';
COMMENT ON COLUMN mtabounce.mailboxes.refused_at IS 'When the server refused to let us in, since it last did: to try too often would lock the account.';

CREATE INDEX mailbox_uids_digest ON mtabounce.mailbox_uids (mailbox, digest) WHERE state = 'stored';
