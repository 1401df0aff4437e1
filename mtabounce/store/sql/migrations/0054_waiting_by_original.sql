-- Two recipients who forward to one address wait each for themselves.
-- depends: 0050_used_signatures

ALTER TABLE mtabounce.pending_deliveries
    DROP CONSTRAINT pending_deliveries_pkey,
    ADD CONSTRAINT pending_deliveries_pkey PRIMARY KEY (host, queue_id, instance, final_recipient, original_recipient);
