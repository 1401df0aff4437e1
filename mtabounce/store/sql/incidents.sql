-- What the circuit breaker counts, and the incidents that it makes.

-- name: bounces_to_count
-- Bounces of these recipients that policy would count, and the breaker has not counted yet: new
-- ones, and those that became hard, or were proven, by what was said of them since.
SELECT b.id AS bounce_id, b.recipient_id, b.recipient, b.type, b.fault, b.reason, b.rule, b.remote_mta,
       b.diagnostic_code, b.first_seen_at, coalesce(b.meta ->> 'from', '') AS mail_from
  FROM mtabounce.bounces AS b
 WHERE b.recipient_id = ANY (%(ids)b::bigint[])
   AND (b.type = 'hard' OR b.fault = 'sender')
   AND b.trust = ANY (%(trusts)s::text[])
   AND (b.created_at = now() OR b.first_seen_at > %(since)s)
   AND NOT EXISTS (SELECT 1 FROM mtabounce.breaker_counts AS c WHERE c.bounce_id = b.id)
 ORDER BY b.first_seen_at, b.id;

-- name: add_counts
INSERT INTO mtabounce.breaker_counts
       (operator, sender, reason, occurred_at, bounce_id, recipient_id, recipient)
SELECT r.operator, r.sender, r.reason, r.occurred_at, r.bounce_id, r.recipient_id, r.recipient
  FROM json_to_recordset(%(rows)s::json) AS r
       (operator text, sender text, reason text, occurred_at timestamptz, bounce_id bigint,
        recipient_id bigint, recipient text)
ON CONFLICT DO NOTHING;

-- name: look
-- Who looks at incidents, and adds to them, lets others do so, too; but not say what one was, until the
-- transaction ends. A lock of PostgreSQL's own, not of the rows: whoever waits for it to be alone gets it
-- before those that come after.
SELECT pg_advisory_xact_lock_shared(hashtextextended('mtabounce incidents', 0));

-- name: be_alone
-- Who says what an incident was waits for those who look, and sees what they wrote.
SELECT pg_advisory_xact_lock(hashtextextended('mtabounce incidents', 0));

-- name: hold_new
-- What was counted now of a group with an open incident belongs to it, until there was none for a
-- day; so does what happened within a window before its first. An operator's incident comes before a
-- sender's: a bounce is in one only.
INSERT INTO mtabounce.incident_bounces (bounce_id, incident_id, recipient_id, recipient, settled)
SELECT r.bounce_id, i.id, r.recipient_id, r.recipient, true
  FROM json_to_recordset(%(rows)s::json) AS r
       (operator text, sender text, reason text, occurred_at timestamptz, bounce_id bigint,
        recipient_id bigint, recipient text)
  JOIN mtabounce.incidents AS i
    ON i.operator = r.operator AND i.sender = r.sender AND i.reason = r.reason AND i.state = 'open'
 WHERE EXISTS (SELECT
                 FROM mtabounce.breaker_counts AS c
                 JOIN mtabounce.incident_bounces AS h ON h.bounce_id = c.bounce_id AND h.incident_id = i.id
                WHERE c.operator = r.operator
                  AND c.sender = r.sender
                  AND c.reason = r.reason
                  AND c.occurred_at BETWEEN r.occurred_at - interval '1 day' AND r.occurred_at + %(window)s::interval)
 ORDER BY i.sender, i.id
ON CONFLICT (bounce_id) DO NOTHING;

-- name: crowds
-- How many recipients of each group bounced in a span, where they are enough; without groups of
-- which an operator said within the last day that such bounces are true. What an incident of an
-- operator explains is not counted for the sender once more. Each span is one look into the index.
SELECT r.number, c.recipients
  FROM json_to_recordset(%(rows)s::json) AS r
       (number integer, operator text, sender text, reason text, since timestamptz, until timestamptz,
        at_least integer)
 CROSS JOIN LATERAL (
       SELECT count(DISTINCT c.recipient_id) AS recipients
         FROM mtabounce.breaker_counts AS c
        WHERE c.operator = r.operator
          AND c.sender = r.sender
          AND c.reason = r.reason
          AND c.occurred_at > r.since
          AND c.occurred_at <= r.until
          AND (r.sender = ''
               OR NOT EXISTS (SELECT 1
                                FROM mtabounce.incident_bounces AS h
                                JOIN mtabounce.incidents AS i ON i.id = h.incident_id
                               WHERE h.bounce_id = c.bounce_id AND i.sender = ''))) AS c
 WHERE NOT EXISTS (SELECT 1
                     FROM mtabounce.incidents AS i
                    WHERE i.operator = r.operator
                      AND i.sender = r.sender
                      AND i.reason = r.reason
                      AND i.state = 'confirmed'
                      AND i.closed_at > now() - interval '1 day')
   AND c.recipients >= r.at_least;

-- name: hours
-- Bounces of a group in each hour of a span that had any, without those of incidents, unless these
-- were confirmed.
SELECT count(*)
  FROM mtabounce.breaker_counts AS c
 WHERE c.operator = %(operator)s
   AND c.sender = %(sender)s
   AND c.reason = %(reason)s
   AND c.occurred_at > %(since)s
   AND c.occurred_at <= %(until)s
   AND NOT EXISTS (SELECT 1
                     FROM mtabounce.incident_bounces AS h
                     JOIN mtabounce.incidents AS i ON i.id = h.incident_id
                    WHERE h.bounce_id = c.bounce_id AND i.state <> 'confirmed')
 GROUP BY date_trunc('hour', c.occurred_at);

-- name: delivered
-- What was delivered in some hours, by domain, host, and domain of the sender.
SELECT domain, relay, sender_domain, sum(sent)::bigint AS sent
  FROM mtabounce.delivery_stats
 WHERE hour >= %(since)s
   AND hour <= %(until)s
 GROUP BY domain, relay, sender_domain
HAVING sum(sent) > 0;

-- name: open_incident
-- The open incident of a group.
SELECT id
  FROM mtabounce.incidents
 WHERE operator = %(operator)s
   AND sender = %(sender)s
   AND reason = %(reason)s
   AND state = 'open';

-- name: begin_incident
-- Nothing where another recorder was first.
INSERT INTO mtabounce.incidents (kind, operator, sender, reason, said, rule, began_at, last_at)
VALUES (%(kind)s, %(operator)s, %(sender)s, %(reason)s, %(said)s, %(rule)s, %(since)s, %(until)s)
ON CONFLICT (operator, sender, reason) WHERE state = 'open' DO NOTHING
RETURNING id;

-- name: hold
-- All bounces of a group in a span belong to the incident, unless an operator closed one with them.
INSERT INTO mtabounce.incident_bounces (bounce_id, incident_id, recipient_id, recipient, settled)
SELECT c.bounce_id, %(incident)s, c.recipient_id, c.recipient, %(settled)s
  FROM mtabounce.breaker_counts AS c
 WHERE c.operator = %(operator)s
   AND c.sender = %(sender)s
   AND c.reason = %(reason)s
   AND c.occurred_at > %(since)s
   AND c.occurred_at <= %(until)s
ON CONFLICT (bounce_id) DO NOTHING;

-- name: stretch
-- When open incidents began, and were last seen, by the bounces that they have come to hold: recorders
-- write no rows that they share, as they would wait for each other.
UPDATE mtabounce.incidents AS i
   SET began_at = least(i.began_at, found.began_at), last_at = greatest(i.last_at, found.last_at)
  FROM (SELECT o.id, earlier.at AS began_at, later.at AS last_at
          FROM mtabounce.incidents AS o
         CROSS JOIN LATERAL (
               SELECT min(c.occurred_at) AS at
                 FROM mtabounce.breaker_counts AS c
                 JOIN mtabounce.incident_bounces AS h ON h.bounce_id = c.bounce_id AND h.incident_id = o.id
                WHERE c.operator = o.operator
                  AND c.sender = o.sender
                  AND c.reason = o.reason
                  AND c.occurred_at < o.began_at) AS earlier
         CROSS JOIN LATERAL (
               SELECT max(c.occurred_at) AS at
                 FROM mtabounce.breaker_counts AS c
                 JOIN mtabounce.incident_bounces AS h ON h.bounce_id = c.bounce_id AND h.incident_id = o.id
                WHERE c.operator = o.operator
                  AND c.sender = o.sender
                  AND c.reason = o.reason
                  AND c.occurred_at > o.last_at) AS later
         WHERE o.state = 'open') AS found
 WHERE i.id = found.id
   AND (found.began_at IS NOT NULL OR found.last_at IS NOT NULL);

-- name: hold_stragglers
-- Bounces that were committed while their incident began.
INSERT INTO mtabounce.incident_bounces (bounce_id, incident_id, recipient_id, recipient, settled)
SELECT c.bounce_id, i.id, c.recipient_id, c.recipient, i.kind = 'blocked'
  FROM mtabounce.incidents AS i
  JOIN mtabounce.breaker_counts AS c
    ON c.operator = i.operator
   AND c.sender = i.sender
   AND c.reason = i.reason
   AND c.occurred_at BETWEEN i.began_at AND i.last_at
 WHERE i.state = 'open'
ON CONFLICT (bounce_id) DO NOTHING;

-- name: unsettled
-- Recipients of incidents that policy is to look at again.
SELECT DISTINCT h.recipient_id, h.recipient
  FROM mtabounce.incident_bounces AS h
 WHERE NOT h.settled
 ORDER BY h.recipient
 LIMIT %(limit)s;

-- name: settle
UPDATE mtabounce.incident_bounces
   SET settled = true
 WHERE NOT settled
   AND recipient_id = ANY (%(ids)s::bigint[]);

-- name: close_incident
-- Its bounces are looked at again.
WITH closed AS (
    UPDATE mtabounce.incidents
       SET state = %(state)s, closed_at = now(), closed_by = %(who)s, why = %(why)s
     WHERE id = %(id)s
       AND state <> %(state)s
    RETURNING id),
again AS (
    UPDATE mtabounce.incident_bounces AS h
       SET settled = false
      FROM closed
     WHERE h.incident_id = closed.id)
SELECT id FROM closed;

-- name: count_open
SELECT count(*)
  FROM mtabounce.incidents
 WHERE state = 'open';

-- name: list_incidents
SELECT i.id, i.kind, i.operator, i.sender, i.reason, i.state, i.said, i.rule, i.began_at, i.last_at, i.closed_at,
       i.closed_by, i.why, count(DISTINCT h.recipient_id) AS recipients
  FROM mtabounce.incidents AS i
  LEFT JOIN mtabounce.incident_bounces AS h ON h.incident_id = i.id
 WHERE (%(id)s::bigint IS NULL OR i.id = %(id)s)
   AND (%(state)s::text IS NULL OR i.state = %(state)s)
 GROUP BY i.id
 ORDER BY i.id DESC;

-- name: bounces_of_incident
SELECT h.recipient, b.id AS bounce_id, b.first_seen_at, b.diagnostic_code
  FROM mtabounce.incident_bounces AS h
  JOIN mtabounce.bounces AS b ON b.recipient_id = h.recipient_id AND b.id = h.bounce_id
 WHERE h.incident_id = %(id)s
 ORDER BY b.first_seen_at, b.id
 LIMIT %(limit)s;

-- name: forget_counts
DELETE FROM mtabounce.breaker_counts
 WHERE occurred_at < %(before)s;
