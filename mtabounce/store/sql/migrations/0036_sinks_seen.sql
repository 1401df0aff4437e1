-- Several daemons tell different sinks: one must not end what another tells.
-- depends: 0033_counted_once

ALTER TABLE mtabounce.sinks ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
COMMENT ON TABLE mtabounce.sinks IS 'Whom to tell what, as the configurations of running daemons have it.';
COMMENT ON COLUMN mtabounce.sinks.seen_at IS 'When a daemon last said that it tells this sink; after a week without, it is forgotten.';
