-- What logs prove: that mail to an address arrives again; and what went wrong with reading one.
-- depends: 0010_api

CREATE INDEX recipients_soft ON mtabounce.recipients (recipient) WHERE soft > 0;

ALTER TABLE mtabounce.log_files ADD COLUMN trouble text NOT NULL DEFAULT '';
COMMENT ON COLUMN mtabounce.log_files.trouble IS 'Why reading it ended without being told to; empty: it did not, or was read since.';
