-- What others are told: written with what happened, sent afterwards.
-- depends: 0008_incidents

CREATE TABLE mtabounce.sinks (
    name   text PRIMARY KEY,
    events text[] NOT NULL
);
COMMENT ON TABLE mtabounce.sinks IS 'Whom to tell what, as the configuration had it when the daemon last started.';
COMMENT ON COLUMN mtabounce.sinks.name IS 'Name of the sink.';
COMMENT ON COLUMN mtabounce.sinks.events IS 'Events that it is told of: suppressed, lifted, bounce.';

CREATE TABLE mtabounce.outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sink       text NOT NULL,
    event      text NOT NULL,
    recipient  text NOT NULL,
    payload    jsonb NOT NULL,
    state      text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'dead')),
    attempts   integer NOT NULL DEFAULT 0,
    next_at    timestamptz NOT NULL DEFAULT now(),
    error      text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz
);
CREATE INDEX outbox_pending ON mtabounce.outbox (sink, recipient, id) WHERE state = 'pending';
CREATE INDEX outbox_dead ON mtabounce.outbox (id) WHERE state = 'dead';
COMMENT ON TABLE mtabounce.outbox IS 'What others are told, each in a row that was written with what it tells of.';
COMMENT ON COLUMN mtabounce.outbox.id IS 'Number of the message; the same for each attempt.';
COMMENT ON COLUMN mtabounce.outbox.sink IS 'sinks.name of who is told.';
COMMENT ON COLUMN mtabounce.outbox.event IS 'suppressed, lifted or bounce.';
COMMENT ON COLUMN mtabounce.outbox.recipient IS 'The address that it is about; messages about one address are sent in order.';
COMMENT ON COLUMN mtabounce.outbox.payload IS 'What is told.';
COMMENT ON COLUMN mtabounce.outbox.state IS 'pending; sent; dead: given up, until mtabounce outbox retry.';
COMMENT ON COLUMN mtabounce.outbox.attempts IS 'Attempts so far.';
COMMENT ON COLUMN mtabounce.outbox.next_at IS 'When the next attempt is due.';
COMMENT ON COLUMN mtabounce.outbox.error IS 'Why the last attempt failed.';
COMMENT ON COLUMN mtabounce.outbox.created_at IS 'When it was written.';
COMMENT ON COLUMN mtabounce.outbox.sent_at IS 'When it was sent; NULL: it was not.';
