-- Whom not to mail, and who decided that.
-- depends: 0001_initial

ALTER TABLE mtabounce.recipients ADD COLUMN last_delivered_at timestamptz;
COMMENT ON COLUMN mtabounce.recipients.last_delivered_at IS 'When a mail to it was last proven to be delivered; NULL: not known.';

CREATE TABLE mtabounce.decisions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id bigint NOT NULL REFERENCES mtabounce.recipients (id),
    recipient    text NOT NULL,
    key          bytea NOT NULL,
    actor        text NOT NULL,
    action       text NOT NULL CHECK (action IN ('suppress', 'lift', 'clear', 'none', 'add', 'remove')),
    why          text NOT NULL,
    scope        text NOT NULL DEFAULT 'all',
    type         text CHECK (type IN ('hard', 'soft', 'complaint')),
    reason       text NOT NULL DEFAULT '',
    bounces      bigint[] NOT NULL DEFAULT '{}',
    until        timestamptz,
    decided_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (recipient_id, key)
);
CREATE INDEX decisions_created_at ON mtabounce.decisions USING brin (created_at);
COMMENT ON TABLE mtabounce.decisions IS 'The audit trail: what was decided about an address, why, and by which bounces.';
COMMENT ON COLUMN mtabounce.decisions.id IS 'Number of the decision.';
COMMENT ON COLUMN mtabounce.decisions.recipient_id IS 'recipients.id of the address.';
COMMENT ON COLUMN mtabounce.decisions.recipient IS 'The address, as recipients.recipient.';
COMMENT ON COLUMN mtabounce.decisions.key IS 'Digest of what was decided; the same decision is not written twice.';
COMMENT ON COLUMN mtabounce.decisions.actor IS 'Who decided: policy, or the name of an operator, import or incident.';
COMMENT ON COLUMN mtabounce.decisions.action IS 'suppress, lift, clear or none by policy; add or remove by an operator.';
COMMENT ON COLUMN mtabounce.decisions.why IS 'Why, in words.';
COMMENT ON COLUMN mtabounce.decisions.scope IS 'What it covers: all, list:ID or campaign:NAME.';
COMMENT ON COLUMN mtabounce.decisions.type IS 'Type of the bounces behind it; NULL: none.';
COMMENT ON COLUMN mtabounce.decisions.reason IS 'Reason of the last of them, or the word of the operator.';
COMMENT ON COLUMN mtabounce.decisions.bounces IS 'bounces.id of those that it rests on.';
COMMENT ON COLUMN mtabounce.decisions.until IS 'When what it added ends; NULL: never.';
COMMENT ON COLUMN mtabounce.decisions.decided_at IS 'When it holds from, by the time of the event.';
COMMENT ON COLUMN mtabounce.decisions.created_at IS 'When the row was written.';

CREATE TABLE mtabounce.suppressions (
    recipient   text NOT NULL,
    type        text CHECK (type IN ('hard', 'soft', 'complaint')),
    reason      text NOT NULL DEFAULT '',
    cause       text NOT NULL,
    scope       text NOT NULL DEFAULT 'all',
    action      text NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz,
    bounce_id   bigint,
    decision_id bigint,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (recipient, scope)
);
CREATE INDEX suppressions_until ON mtabounce.suppressions (until) WHERE until IS NOT NULL;
COMMENT ON TABLE mtabounce.suppressions IS 'Addresses that are not mailed: where policy and operators stand now. Ask is_suppressed(), which knows what has ended.';
COMMENT ON COLUMN mtabounce.suppressions.recipient IS 'The address, as recipients.recipient.';
COMMENT ON COLUMN mtabounce.suppressions.type IS 'Type of the bounces behind it; NULL: an operator''s word.';
COMMENT ON COLUMN mtabounce.suppressions.reason IS 'Reason of the last of them.';
COMMENT ON COLUMN mtabounce.suppressions.cause IS 'hard, soft, complaint, hold, or manual.';
COMMENT ON COLUMN mtabounce.suppressions.scope IS 'What it covers: all, list:ID or campaign:NAME.';
COMMENT ON COLUMN mtabounce.suppressions.action IS 'What follows: unsubscribe, blocklist or delete.';
COMMENT ON COLUMN mtabounce.suppressions.since IS 'When it began.';
COMMENT ON COLUMN mtabounce.suppressions.until IS 'When it ends; NULL: never.';
COMMENT ON COLUMN mtabounce.suppressions.bounce_id IS 'bounces.id of the last bounce behind it; NULL: none.';
COMMENT ON COLUMN mtabounce.suppressions.decision_id IS 'decisions.id that says why.';
COMMENT ON COLUMN mtabounce.suppressions.created_at IS 'When the row was written.';

CREATE VIEW mtabounce.active_suppressions AS
SELECT recipient, type, reason, cause, scope, action, since, until, bounce_id, decision_id
  FROM mtabounce.suppressions
 WHERE until IS NULL OR until > now();
COMMENT ON VIEW mtabounce.active_suppressions IS 'Suppressions that hold now: join it to the addresses that you are about to mail, by lower(address).';
COMMENT ON COLUMN mtabounce.active_suppressions.recipient IS 'suppressions.recipient.';
COMMENT ON COLUMN mtabounce.active_suppressions.type IS 'suppressions.type.';
COMMENT ON COLUMN mtabounce.active_suppressions.reason IS 'suppressions.reason.';
COMMENT ON COLUMN mtabounce.active_suppressions.cause IS 'suppressions.cause.';
COMMENT ON COLUMN mtabounce.active_suppressions.scope IS 'suppressions.scope.';
COMMENT ON COLUMN mtabounce.active_suppressions.action IS 'suppressions.action.';
COMMENT ON COLUMN mtabounce.active_suppressions.since IS 'suppressions.since.';
COMMENT ON COLUMN mtabounce.active_suppressions.until IS 'suppressions.until.';
COMMENT ON COLUMN mtabounce.active_suppressions.bounce_id IS 'suppressions.bounce_id.';
COMMENT ON COLUMN mtabounce.active_suppressions.decision_id IS 'suppressions.decision_id.';

CREATE FUNCTION mtabounce.is_suppressed(email text, scope text DEFAULT 'all') RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT 1
          FROM mtabounce.suppressions AS s
         WHERE s.recipient = lower(btrim($1))
           AND s.scope IN ('all', $2)
           AND (s.until IS NULL OR s.until > now())
    )
$$;
COMMENT ON FUNCTION mtabounce.is_suppressed(text, text) IS 'Whether an address is not to be mailed now; scope list:ID or campaign:NAME asks for that too. Internationalized domains are asked for as A-labels (xn--).';

CREATE FUNCTION mtabounce.check_recipients(emails text[], scope text DEFAULT 'all')
RETURNS TABLE (email text, type text, reason text, cause text, until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT asked.email, s.type, s.reason, s.cause, s.until
      FROM unnest($1) AS asked (email)
      JOIN mtabounce.suppressions AS s ON s.recipient = lower(btrim(asked.email))
     WHERE s.scope IN ('all', $2)
       AND (s.until IS NULL OR s.until > now())
$$;
COMMENT ON FUNCTION mtabounce.check_recipients(text[], text) IS 'Those of the addresses that are not to be mailed now, as they were given, each with its cause.';
