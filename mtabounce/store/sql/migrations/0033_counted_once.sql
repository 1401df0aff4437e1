-- Bounces are looked up among those that the breaker counted: one that became hard is counted then.
-- depends: 0031_bulk_check

CREATE INDEX breaker_counts_bounce_id ON mtabounce.breaker_counts (bounce_id);
