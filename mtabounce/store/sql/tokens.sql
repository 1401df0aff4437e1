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
 WHERE (id::text = %(which)s OR username = %(which)s) AND revoked_at IS NULL
RETURNING id;
