-- What is kept how long: suppressions outlive the bounces that they rest on, raw mail may go sooner.
-- depends: 0023_webhooks

ALTER TABLE mtabounce.decisions ADD COLUMN cause text NOT NULL DEFAULT '';
ALTER TABLE mtabounce.decisions ADD COLUMN consequence text NOT NULL DEFAULT '';
ALTER TABLE mtabounce.decisions ADD COLUMN rule text NOT NULL DEFAULT '';
ALTER TABLE mtabounce.decisions DROP CONSTRAINT decisions_action_check;
ALTER TABLE mtabounce.decisions ADD CONSTRAINT decisions_action_check
    CHECK (action IN ('suppress', 'lift', 'clear', 'none', 'add', 'remove', 'keep'));
CREATE INDEX decisions_keep ON mtabounce.decisions (recipient_id) WHERE action = 'keep';
COMMENT ON COLUMN mtabounce.decisions.action IS
    'suppress, lift, clear or none by policy; add or remove by an operator; keep by retention: what was decided holds on though its bounces are gone.';
COMMENT ON COLUMN mtabounce.decisions.cause IS 'suppressions.cause of what is kept; empty: nothing is.';
COMMENT ON COLUMN mtabounce.decisions.consequence IS 'suppressions.action of what is kept; empty: nothing is.';
COMMENT ON COLUMN mtabounce.decisions.rule IS 'bounces.rule of the last bounce behind what is kept; empty: nothing is, or it is not known.';

ALTER TABLE mtabounce.inputs ADD COLUMN kept text NOT NULL DEFAULT 'full'
    CHECK (kept IN ('full', 'headers', 'none'));
COMMENT ON COLUMN mtabounce.inputs.kept IS 'What of the bytes is still there: full, headers (with the report, as [retention] raw says) or none.';
COMMENT ON COLUMN mtabounce.inputs.content IS 'The bytes as received, or what is kept of them: see kept.';
COMMENT ON COLUMN mtabounce.recipients.hard IS 'Number of its bounces of type hard, those included that retention has dropped.';
COMMENT ON COLUMN mtabounce.recipients.soft IS 'Number of its bounces of type soft, those included that retention has dropped.';
COMMENT ON COLUMN mtabounce.recipients.complaints IS 'Number of its bounces of type complaint, those included that retention has dropped.';
