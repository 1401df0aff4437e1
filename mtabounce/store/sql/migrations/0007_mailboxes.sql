-- Mails of polled mailboxes that are known: what was stored is deleted there, and never fetched twice.
-- depends: 0006_webhooks

CREATE TABLE mtabounce.mailbox_uids (
    mailbox  text NOT NULL,
    uid      text NOT NULL,
    digest   bytea,
    size     bigint NOT NULL,
    state    text NOT NULL CHECK (state IN ('stored', 'other', 'failed')),
    attempts smallint NOT NULL DEFAULT 1,
    seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (mailbox, uid)
);
COMMENT ON TABLE mtabounce.mailbox_uids IS 'Mails in polled mailboxes that were looked at. A mail without a row here is new.';
COMMENT ON COLUMN mtabounce.mailbox_uids.mailbox IS 'The mailbox, as pop3://username@host:port.';
COMMENT ON COLUMN mtabounce.mailbox_uids.uid IS 'The unique id that the server gave the mail; sha256: and its digest where it gave none.';
COMMENT ON COLUMN mtabounce.mailbox_uids.digest IS 'SHA-256 of the mail, as a server may change its ids; NULL: it could not be fetched.';
COMMENT ON COLUMN mtabounce.mailbox_uids.size IS 'Its size as the server says, as a server may use an id again.';
COMMENT ON COLUMN mtabounce.mailbox_uids.state IS 'stored: it is in the inbox; other: it is no bounce, and left; failed: it could not be fetched.';
COMMENT ON COLUMN mtabounce.mailbox_uids.attempts IS 'How often it was tried to fetch it.';
COMMENT ON COLUMN mtabounce.mailbox_uids.seen_at IS 'When the row was last written.';
