-- Incidents: bounces of one operator and reason that jump, and who holds or blocks whom.
-- depends: 0007_mailboxes

CREATE TABLE mtabounce.incidents (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('jump', 'blocked')),
    operator   text NOT NULL,
    reason     text NOT NULL,
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirmed', 'reverted')),
    said       text NOT NULL DEFAULT '',
    rule       text NOT NULL DEFAULT '',
    began_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    closed_at  timestamptz,
    closed_by  text NOT NULL DEFAULT '',
    why        text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX incidents_open ON mtabounce.incidents (operator, reason) WHERE state = 'open';
COMMENT ON TABLE mtabounce.incidents IS 'Bounces of one operator and reason that jumped: they suppress nobody until an operator confirms them.';
COMMENT ON COLUMN mtabounce.incidents.id IS 'Number of the incident.';
COMMENT ON COLUMN mtabounce.incidents.kind IS 'jump: of hard bounces, which are held; blocked: many refuse us, which suppresses nobody anyway.';
COMMENT ON COLUMN mtabounce.incidents.operator IS 'Who runs the servers that said it: a name of operators.toml, or a domain.';
COMMENT ON COLUMN mtabounce.incidents.reason IS 'Reason of the bounces.';
COMMENT ON COLUMN mtabounce.incidents.state IS 'open; confirmed: its bounces count; reverted: they never do.';
COMMENT ON COLUMN mtabounce.incidents.said IS 'What the server said when it was noticed.';
COMMENT ON COLUMN mtabounce.incidents.rule IS 'Id of the rule that decided on that.';
COMMENT ON COLUMN mtabounce.incidents.began_at IS 'When the first of its bounces happened.';
COMMENT ON COLUMN mtabounce.incidents.last_at IS 'When the latest of them happened.';
COMMENT ON COLUMN mtabounce.incidents.closed_at IS 'When an operator confirmed or reverted it; NULL: it is open.';
COMMENT ON COLUMN mtabounce.incidents.closed_by IS 'Who did; empty: it is open.';
COMMENT ON COLUMN mtabounce.incidents.why IS 'Why, in the words of who did.';
COMMENT ON COLUMN mtabounce.incidents.created_at IS 'When it was noticed.';

CREATE TABLE mtabounce.incident_bounces (
    bounce_id    bigint PRIMARY KEY,
    incident_id  bigint NOT NULL REFERENCES mtabounce.incidents (id),
    recipient_id bigint NOT NULL,
    recipient    text NOT NULL,
    settled      boolean NOT NULL DEFAULT false
);
CREATE INDEX incident_bounces_incident_id ON mtabounce.incident_bounces (incident_id);
CREATE INDEX incident_bounces_unsettled ON mtabounce.incident_bounces (bounce_id) WHERE NOT settled;
COMMENT ON TABLE mtabounce.incident_bounces IS 'The bounces of incidents.';
COMMENT ON COLUMN mtabounce.incident_bounces.bounce_id IS 'bounces.id.';
COMMENT ON COLUMN mtabounce.incident_bounces.incident_id IS 'incidents.id.';
COMMENT ON COLUMN mtabounce.incident_bounces.recipient_id IS 'recipients.id of the address.';
COMMENT ON COLUMN mtabounce.incident_bounces.recipient IS 'The address.';
COMMENT ON COLUMN mtabounce.incident_bounces.settled IS 'Whether policy looked at the address since the incident began or was closed.';

CREATE TABLE mtabounce.breaker_counts (
    operator     text NOT NULL,
    reason       text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    bounce_id    bigint NOT NULL,
    recipient_id bigint NOT NULL,
    recipient    text NOT NULL,
    PRIMARY KEY (operator, reason, occurred_at, bounce_id)
);
CREATE INDEX breaker_counts_occurred_at ON mtabounce.breaker_counts USING brin (occurred_at);
COMMENT ON TABLE mtabounce.breaker_counts IS 'Hard bounces, and those that are our fault, of the last weeks: what the circuit breaker counts.';
COMMENT ON COLUMN mtabounce.breaker_counts.operator IS 'Who runs the server that said it: a name of operators.toml, or a domain.';
COMMENT ON COLUMN mtabounce.breaker_counts.reason IS 'Reason of the bounce.';
COMMENT ON COLUMN mtabounce.breaker_counts.occurred_at IS 'When it happened.';
COMMENT ON COLUMN mtabounce.breaker_counts.bounce_id IS 'bounces.id.';
COMMENT ON COLUMN mtabounce.breaker_counts.recipient_id IS 'recipients.id of the address.';
COMMENT ON COLUMN mtabounce.breaker_counts.recipient IS 'The address.';
