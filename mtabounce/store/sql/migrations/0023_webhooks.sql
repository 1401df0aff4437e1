-- Webhooks: what was taken and refused, so that an operator sees why nothing arrives.
-- depends: 0010_api

CREATE TABLE mtabounce.webhooks (
    webhook      text PRIMARY KEY,
    accepted     bigint NOT NULL DEFAULT 0,
    accepted_at  timestamptz,
    refused      bigint NOT NULL DEFAULT 0,
    refused_at   timestamptz,
    why          text NOT NULL DEFAULT ''
);
COMMENT ON TABLE mtabounce.webhooks IS 'How many requests each webhook took and refused.';
COMMENT ON COLUMN mtabounce.webhooks.webhook IS 'The name in its URL.';
COMMENT ON COLUMN mtabounce.webhooks.accepted IS 'Requests that were taken, in all.';
COMMENT ON COLUMN mtabounce.webhooks.accepted_at IS 'When the last was taken; NULL: never.';
COMMENT ON COLUMN mtabounce.webhooks.refused IS 'Requests that were refused, in all.';
COMMENT ON COLUMN mtabounce.webhooks.refused_at IS 'When the last was refused; NULL: never.';
COMMENT ON COLUMN mtabounce.webhooks.why IS 'Why the last was refused.';

CREATE TABLE mtabounce.webhook_refusals (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook     text NOT NULL,
    refused_at  timestamptz NOT NULL,
    status      smallint NOT NULL,
    why         text NOT NULL,
    peer        text NOT NULL,
    headers     jsonb NOT NULL,
    body        bytea NOT NULL,
    size        bigint NOT NULL
);
CREATE INDEX webhook_refusals_webhook ON mtabounce.webhook_refusals (webhook, id);
COMMENT ON TABLE mtabounce.webhook_refusals IS 'The latest refused requests of each webhook: a few, for 30 days at most.';
COMMENT ON COLUMN mtabounce.webhook_refusals.id IS 'Number of the request.';
COMMENT ON COLUMN mtabounce.webhook_refusals.webhook IS 'The name in its URL.';
COMMENT ON COLUMN mtabounce.webhook_refusals.refused_at IS 'When it was refused.';
COMMENT ON COLUMN mtabounce.webhook_refusals.status IS 'The HTTP status that it was answered with.';
COMMENT ON COLUMN mtabounce.webhook_refusals.why IS 'Why.';
COMMENT ON COLUMN mtabounce.webhook_refusals.peer IS 'Who posted it: an IP address.';
COMMENT ON COLUMN mtabounce.webhook_refusals.headers IS 'Its headers; passwords and tokens are masked.';
COMMENT ON COLUMN mtabounce.webhook_refusals.body IS 'Its body, or the beginning of one that was long.';
COMMENT ON COLUMN mtabounce.webhook_refusals.size IS 'How many octets the body had.';
