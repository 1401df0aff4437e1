-- Counts change in place where nothing indexed changes and their page has room: recipients are
-- counted in the transaction that adds them, and stood twice in each index.
-- depends: 0086_scopes

DROP INDEX mtabounce.recipients_refused;  -- nobody asks by it any more
ALTER TABLE mtabounce.delivery_stats SET (fillfactor = 50);
ALTER TABLE mtabounce.recipients SET (fillfactor = 50);
