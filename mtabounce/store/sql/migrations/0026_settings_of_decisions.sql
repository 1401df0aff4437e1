-- By which settings policy decided.
-- depends: 0010_api

ALTER TABLE mtabounce.decisions ADD COLUMN settings text NOT NULL DEFAULT '';
COMMENT ON COLUMN mtabounce.decisions.settings IS 'The threshold that the bounce was held against, in words; empty: none was.';
