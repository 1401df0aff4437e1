-- Tokens of the HTTP API.

-- name: create
INSERT INTO mtabounce.api_tokens (username, token_hash, scopes)
VALUES (%(username)s, %(token_hash)s, %(scopes)s)
RETURNING id;

-- name: find
SELECT username, scopes
  FROM mtabounce.api_tokens
 WHERE token_hash = %(token_hash)s AND revoked_at IS NULL;

-- name: list
SELECT id, username, scopes, created_at, revoked_at
  FROM mtabounce.api_tokens
 ORDER BY id;

-- name: revoke
UPDATE mtabounce.api_tokens
   SET revoked_at = now()
-- Digits are a number: no user name is made of them only.
 WHERE CASE WHEN %(which)s ~ '^[0-9]+$' THEN id::text = %(which)s ELSE username = %(which)s END
   AND revoked_at IS NULL
RETURNING id;
