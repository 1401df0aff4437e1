-- Whom a message went to, by its Message-ID: complaints hide who complained.
-- depends: 0010_api

CREATE INDEX observations_message_id ON mtabounce.observations USING hash (original_message_id)
    WHERE original_message_id <> '';
