-- What webhooks bring: more kinds of news.
-- depends: 0005_undo

ALTER TABLE mtabounce.inputs DROP CONSTRAINT inputs_outcome_check;
ALTER TABLE mtabounce.inputs ADD CONSTRAINT inputs_outcome_check CHECK (outcome IN (
    'bounce', 'complaint', 'delayed', 'delivered', 'auto_reply', 'challenge', 'unsubscribe',
    'suppressed', 'ignored', 'unrecognized'));
COMMENT ON COLUMN mtabounce.observations.outcome IS
    'bounce, complaint, delayed, delivered, auto_reply, challenge, unsubscribe or suppressed (by the ESP, which did not even try).';
COMMENT ON COLUMN mtabounce.inputs.error IS
    'Why it failed, or what of it could not be used; one line.';
