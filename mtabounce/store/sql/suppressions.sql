-- Suppressions as operators look at them, and what they take back.

-- name: list_suppressions
-- The latest first. NULL leaves a filter out; what has ended comes only where it is asked for.
SELECT s.recipient, s.type, s.reason, s.cause, s.scope, s.action, s.since, s.until, s.bounce_id,
       coalesce(d.why, '') AS why, coalesce(d.settings, '') AS settings
  FROM mtabounce.suppressions AS s
  LEFT JOIN mtabounce.decisions AS d ON d.id = s.decision_id
 WHERE (%(recipient)s::text IS NULL OR s.recipient = %(recipient)s)
   AND (%(domain)s::text IS NULL OR right(s.recipient, char_length(%(domain)s) + 1) = '@' || %(domain)s)
   AND (%(cause)s::text IS NULL OR s.cause = %(cause)s)
   AND (%(reason)s::text IS NULL OR s.reason = %(reason)s)
   AND (%(scope)s::text IS NULL OR s.scope = %(scope)s)
   AND (%(since)s::timestamptz IS NULL OR s.since >= %(since)s)
   AND (%(ended)s::boolean OR s.until IS NULL OR s.until > now())
 ORDER BY s.since DESC, s.recipient
 LIMIT %(limit)s;

-- name: page_of_suppressions
-- Those that hold now, by address, after the address and scope given.
SELECT s.recipient, s.type, s.reason, s.cause, s.scope, s.action, s.since, s.until, s.bounce_id,
       coalesce(d.why, '') AS why, coalesce(d.settings, '') AS settings
  FROM mtabounce.active_suppressions AS s
  LEFT JOIN mtabounce.decisions AS d ON d.id = s.decision_id
 WHERE (%(domain)s::text IS NULL OR right(s.recipient, char_length(%(domain)s) + 1) = '@' || %(domain)s)
   AND (%(cause)s::text IS NULL OR s.cause = %(cause)s)
   AND (%(reason)s::text IS NULL OR s.reason = %(reason)s)
   AND (%(scope)s::text IS NULL OR s.scope = %(scope)s)
   AND (%(since)s::timestamptz IS NULL OR s.since >= %(since)s)
   AND (%(after)s::text IS NULL OR (s.recipient, s.scope) > (%(after)s, %(after_scope)s))
 ORDER BY s.recipient, s.scope
 LIMIT %(limit)s;

-- name: check_addresses
-- What stands against each of the addresses, in their order.
SELECT asked.recipient, s.type, s.reason, s.cause, s.scope, s.action, s.since, s.until, s.bounce_id,
       coalesce(d.why, '') AS why, coalesce(d.settings, '') AS settings
  FROM unnest(%(recipients)s::text[]) WITH ORDINALITY AS asked (recipient, place)
  JOIN mtabounce.active_suppressions AS s ON s.recipient = mtabounce.known_as(asked.recipient)
  LEFT JOIN mtabounce.decisions AS d ON d.id = s.decision_id
 ORDER BY asked.place, s.scope;

-- name: refusal
-- What a mail server says when it refuses an address.
SELECT refusal FROM mtabounce.refusal(%(recipient)s) AS refusal;

-- name: export_suppressions
-- All that hold now, by address.
SELECT s.recipient, s.type, s.reason, s.cause, s.scope, s.action, s.since, s.until
  FROM mtabounce.active_suppressions AS s
 WHERE %(scope)s::text IS NULL OR s.scope = %(scope)s
 ORDER BY s.recipient, s.scope;

-- name: undoable
-- Suppressions that fit, with the bounces that fit and the additions behind them. The bounce of a
-- suppression itself is always among these: none would mean that all is forgiven. What was added
-- by hand, and complaints, must be named: by their address, cause, rule or incident.
SELECT s.recipient, s.type, s.reason, s.cause, s.scope, s.since, s.until, s.bounce_id,
       CASE WHEN s.cause = 'manual' THEN '{}' ELSE ARRAY (
           SELECT b.id
             FROM mtabounce.bounces AS b
            WHERE b.recipient_id = r.id
              AND b.type = s.type
              AND (%(rule)s::text IS NULL OR b.rule = %(rule)s)
              AND (%(incident)s::bigint IS NULL
                   OR EXISTS (SELECT 1
                                FROM mtabounce.incident_bounces AS h
                               WHERE h.bounce_id = b.id AND h.incident_id = %(incident)s))
              AND (%(since)s::timestamptz IS NULL OR b.first_seen_at >= %(since)s)
              AND (%(until)s::timestamptz IS NULL OR b.first_seen_at < %(until)s)
            UNION
           SELECT s.bounce_id WHERE s.bounce_id IS NOT NULL
            ORDER BY id)
       END AS forgives,
       ARRAY (
           SELECT d.id
             FROM mtabounce.decisions AS d
            WHERE d.recipient_id = r.id
              AND d.action = CASE WHEN s.cause = 'manual' THEN 'add' ELSE 'keep' END
              AND d.scope = s.scope
              AND (s.cause = 'manual' OR %(rule)s::text IS NULL OR d.rule = %(rule)s)
              AND (%(since)s::timestamptz IS NULL OR d.decided_at >= %(since)s)
              AND (%(until)s::timestamptz IS NULL OR d.decided_at < %(until)s)
            ORDER BY d.id) AS undoes
  FROM mtabounce.suppressions AS s
  JOIN mtabounce.recipients AS r ON r.recipient = s.recipient
  LEFT JOIN mtabounce.bounces AS b ON b.recipient_id = r.id AND b.id = s.bounce_id
 WHERE (%(recipients)s::text[] IS NULL OR s.recipient = ANY (%(recipients)s))
   AND (%(cause)s::text IS NULL OR s.cause = %(cause)s)
   AND (%(rule)s::text IS NULL OR b.rule = %(rule)s
        OR b.id IS NULL
           AND EXISTS (SELECT 1
                         FROM mtabounce.decisions AS k
                        WHERE k.recipient_id = r.id AND k.action = 'keep' AND k.scope = s.scope
                          AND k.rule = %(rule)s AND s.bounce_id = ANY (k.bounces)))
   AND (%(incident)s::bigint IS NULL
        OR EXISTS (SELECT 1
                     FROM mtabounce.incident_bounces AS h
                    WHERE h.bounce_id = s.bounce_id AND h.incident_id = %(incident)s))
   AND (%(since)s::timestamptz IS NULL OR s.since >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR s.since < %(until)s)
   AND (s.cause NOT IN ('manual', 'complaint')
        OR %(cause)s::text IS NOT NULL OR %(rule)s::text IS NOT NULL OR %(recipients)s::text[] IS NOT NULL)
 ORDER BY s.recipient, s.scope;

-- name: decisions_on
-- What was decided about an address, the latest first.
SELECT id, decided_at, actor, action, why, scope, type, reason, bounces, until, settings
  FROM mtabounce.decisions
 WHERE recipient_id = %(recipient_id)s
 ORDER BY decided_at DESC, id DESC
 LIMIT %(limit)s;
