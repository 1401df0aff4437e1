-- Signed return paths: what they were made for, and the keys in SQL's reach.

-- name: id_for
SELECT mtabounce.return_path_id(%(recipient)s, %(campaign)s);

-- name: sign
-- Sorted by the caller, so that two never wait for each other in a circle.
SELECT email, mtabounce.return_path(email, %(campaign)s)
  FROM unnest(%(emails)s::text[]) AS email;

-- name: made_for
SELECT id, recipient, campaign
  FROM mtabounce.return_paths
 WHERE id = ANY (%(ids)s::bigint[]);

-- name: used_paths
-- Another mail came to the same signed return path, by the same way, and proved the failure.
SELECT DISTINCT r.recipient_id, r.key
  FROM json_to_recordset(%(rows)s::json) AS r
       (recipient_id bigint, key text, input_id bigint, kind text, ref text)
  JOIN mtabounce.bounce_refs AS p ON p.key = decode(r.ref, 'hex')
  JOIN mtabounce.observations AS o
    ON o.bounce_id = p.bounce_id
   AND o.recipient_id = r.recipient_id
   AND o.trust = 'proven'
   AND split_part(o.source, ':', 1) = r.kind
   AND o.key <> decode(r.key, 'hex')
   AND o.input_id IS DISTINCT FROM r.input_id;

-- name: lock_keys
LOCK TABLE mtabounce.return_path_keys IN SHARE ROW EXCLUSIVE MODE;

-- name: delete_keys
DELETE FROM mtabounce.return_path_keys;

-- name: add_keys
INSERT INTO mtabounce.return_path_keys (id, domain, lifetime, signs, inner_pad, outer_pad)
SELECT r.id, r.domain, r.lifetime, r.signs, decode(r.inner_pad, 'hex'), decode(r.outer_pad, 'hex')
  FROM json_to_recordset(%(rows)s::json) AS r
       (id text, domain text, lifetime smallint, signs boolean, inner_pad text, outer_pad text);

-- name: key_ids
-- Ids only, the one that signs first.
SELECT id
  FROM mtabounce.return_path_keys
 ORDER BY signs DESC, id;
