-- name: get_load
-- What was put before people in [$1, $2), with $3 of them: not what went straight to the shelf, nor what was folded away again.
WITH shown AS (
    SELECT
        a.create_time, a.priority, a.assessment, a.kind, a.escalations, a.event_count,
        (SELECT min(t.time) FROM alert_transitions AS t WHERE t.alert_id = a.alert_id AND t.act = 'acknowledge')
            - a.create_time AS acknowledged
    FROM alerts AS a
    WHERE a.create_time >= $1 AND a.create_time < $2
        AND NOT EXISTS (
            SELECT FROM alert_transitions AS t
            WHERE t.alert_id = a.alert_id AND (t.act = 'fold' OR (t.act = 'shelve' AND t.ordinal = 1))
        )
), periods AS (
    SELECT count(*) AS alarms FROM shown GROUP BY date_bin('10 minutes', create_time, $1)
)
SELECT
    count(*) AS alarms,
    count(*) FILTER (WHERE create_time > $2::timestamptz - interval '10 minutes') AS recent,
    (SELECT count(*) FROM periods WHERE alarms > $4::integer * $3::integer) AS floods,
    coalesce(sum(event_count), 0) AS events,
    count(*) FILTER (WHERE assessment = 1) AS true_alarms,
    count(*) FILTER (WHERE assessment = 2) AS false_alarms,
    count(*) FILTER (WHERE assessment = 3) AS cannot_tell_alarms,
    count(*) FILTER (WHERE priority = 3) AS high,
    count(*) FILTER (WHERE priority = 2) AS medium,
    count(*) FILTER (WHERE priority = 1) AS low,
    count(*) FILTER (WHERE kind = 2) AS chattering,
    count(*) FILTER (WHERE escalations > 0) AS escalated,
    (SELECT count(*) FROM alerts WHERE state NOT IN (5, 6) AND create_time < $2::timestamptz - interval '1 day') AS stale,
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY acknowledged)
        FILTER (WHERE acknowledged IS NOT NULL) AS acknowledgement
FROM shown

-- name: list_scorecards
SELECT
    rule, live,
    sum(raised)::bigint AS raised, sum(true_count)::bigint AS true_count, sum(false_count)::bigint AS false_count,
    sum(cannot_tell_count)::bigint AS cannot_tell_count
FROM rule_verdicts
WHERE day >= $1 AND rule IN (
    SELECT DISTINCT rule FROM rule_verdicts
    WHERE day >= $1 AND rule > $3 AND ($2::text IS NULL OR starts_with(rule, $2 || '/rules/'))
    ORDER BY rule
    LIMIT $4
)
GROUP BY rule, live
ORDER BY rule, live

-- name: list_events_of_alert
SELECT event_id, capture_time, payload
FROM events
WHERE alert_id = $1 AND ($2::timestamptz IS NULL OR (capture_time, event_id) < ($2, $3))
ORDER BY capture_time DESC, event_id DESC
LIMIT $4

-- name: list_shadow_events
SELECT event_id, capture_time, payload
FROM events
WHERE NOT live AND rule = $1 AND ($2::timestamptz IS NULL OR (capture_time, event_id) < ($2, $3))
ORDER BY capture_time DESC, event_id DESC
LIMIT $4

-- name: get_shadow_event
SELECT event_id, rule, capture_time, assessment FROM events WHERE event_id = $1 AND NOT live FOR UPDATE

-- name: assess_event
UPDATE events SET assessment = $2 WHERE event_id = $1
