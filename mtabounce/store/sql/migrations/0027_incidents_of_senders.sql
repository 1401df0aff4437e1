-- Incidents of a sender: its bounces jump at many operators together.
-- depends: 0010_api

ALTER TABLE mtabounce.incidents ADD COLUMN sender text NOT NULL DEFAULT '';
DROP INDEX mtabounce.incidents_open;
CREATE UNIQUE INDEX incidents_open ON mtabounce.incidents (operator, sender, reason) WHERE state = 'open';
COMMENT ON TABLE mtabounce.incidents IS 'Bounces of one operator and reason, or of one sender, that jumped: they suppress nobody until an operator confirms them.';
COMMENT ON COLUMN mtabounce.incidents.sender IS 'Domain that the mails were from; empty: it is about an operator.';
COMMENT ON COLUMN mtabounce.incidents.operator IS 'Who runs the servers that said it: a name of operators.toml, or a domain; empty: it is about a sender.';
COMMENT ON COLUMN mtabounce.incidents.reason IS 'Reason of the bounces; of a sender''s, the kind, as they have many.';

ALTER TABLE mtabounce.breaker_counts ADD COLUMN sender text NOT NULL DEFAULT '';
ALTER TABLE mtabounce.breaker_counts DROP CONSTRAINT breaker_counts_pkey;
ALTER TABLE mtabounce.breaker_counts ADD PRIMARY KEY (operator, sender, reason, occurred_at, bounce_id);
COMMENT ON COLUMN mtabounce.breaker_counts.sender IS 'Domain that the mail was from, where it is counted for that; empty: it is counted for the operator.';
COMMENT ON COLUMN mtabounce.breaker_counts.operator IS 'Who runs the server that said it: a name of operators.toml, or a domain; empty: it is counted for the sender.';
COMMENT ON COLUMN mtabounce.breaker_counts.reason IS 'Reason of the bounce; where it is counted for the sender, the kind of incident.';
