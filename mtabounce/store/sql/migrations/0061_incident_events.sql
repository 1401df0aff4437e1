-- Others can be told of incidents.
-- depends: 0060_quick_lookups

COMMENT ON COLUMN mtabounce.sinks.events IS 'Events that it is told of: suppressed, lifted, bounce, incident.';
COMMENT ON COLUMN mtabounce.outbox.event IS 'suppressed, lifted, bounce or incident.';
COMMENT ON COLUMN mtabounce.outbox.recipient IS 'The address that it is about, empty for an incident; messages about one address are sent in order.';
