-- A delivery lifts a hold, too: hard bounces are looked for as soft ones are.
-- depends: 0042_trusted_names

DROP INDEX mtabounce.recipients_soft;
CREATE INDEX recipients_refused ON mtabounce.recipients (recipient) WHERE soft > 0 OR hard > 0;
