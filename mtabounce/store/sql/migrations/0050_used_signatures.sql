-- Signatures that leave out the body are good for one body, whoever asks, and after a restart.
-- depends: 0043_refused

CREATE TABLE mtabounce.webhook_signatures (
    mark     bytea PRIMARY KEY,
    body     bytea NOT NULL,
    used_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mtabounce.webhook_signatures IS 'Signatures of ESPs that leave out the body, each with the body that it came with first.';
COMMENT ON COLUMN mtabounce.webhook_signatures.mark IS 'A hash of what was signed.';
COMMENT ON COLUMN mtabounce.webhook_signatures.body IS 'A hash of the body.';
COMMENT ON COLUMN mtabounce.webhook_signatures.used_at IS 'When the request was read.';
