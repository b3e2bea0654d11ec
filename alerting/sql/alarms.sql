-- name: list_room
-- What events may join: alarms close in time, and those that gather for longer.
SELECT a.*, ARRAY(SELECT t FROM alert_transitions AS t WHERE t.alert_id = a.alert_id ORDER BY t.ordinal) AS transitions
FROM alerts AS a
WHERE a.state <> 5
    AND ((a.last_capture_time >= $1::timestamptz AND a.capture_time <= $2::timestamptz)
        OR a.create_time >= $3::timestamptz OR a.kind <> 1 OR a.state = 6)

-- name: list_raised
-- When rules have raised alarms at places; what was folded counts, or a chattering rule would fall silent by its own noise.
SELECT rule, place, capture_time
FROM alerts
WHERE (rule, place) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    AND capture_time BETWEEN $3::timestamptz AND $4::timestamptz

-- name: count_shown
-- Alarms that were put before the operators since $1: not what went straight to the shelf, nor what a flood took away again, nor the
-- flood's own, which has a place of its own.
SELECT count(*)
FROM alerts AS a
WHERE a.create_time > $1 AND a.kind <> 3
    AND NOT EXISTS (
        SELECT FROM alert_transitions AS t
        WHERE t.alert_id = a.alert_id AND (t.act = 'fold' OR (t.act = 'shelve' AND t.ordinal = 1))
    )

-- name: link_event
UPDATE events SET alert_id = $2 WHERE event_id = $1

-- name: relink_events
UPDATE events SET alert_id = $2 WHERE alert_id = $1

-- name: count_verdicts
INSERT INTO rule_verdicts (rule, live, day, raised, true_count, false_count, cannot_tell_count)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (rule, live, day) DO UPDATE SET
    raised = rule_verdicts.raised + excluded.raised,
    true_count = rule_verdicts.true_count + excluded.true_count,
    false_count = rule_verdicts.false_count + excluded.false_count,
    cannot_tell_count = rule_verdicts.cannot_tell_count + excluded.cannot_tell_count

-- name: any_due
SELECT EXISTS (SELECT FROM alerts WHERE due_time <= $1)

-- name: list_due
SELECT a.*, ARRAY(SELECT t FROM alert_transitions AS t WHERE t.alert_id = a.alert_id ORDER BY t.ordinal) AS transitions
FROM alerts AS a
WHERE a.due_time <= $1
ORDER BY a.due_time
LIMIT $2
FOR UPDATE OF a SKIP LOCKED

-- name: list_open
SELECT a.*, ARRAY(SELECT t FROM alert_transitions AS t WHERE t.alert_id = a.alert_id ORDER BY t.ordinal) AS transitions
FROM alerts AS a
WHERE a.state <> 5
ORDER BY a.create_time, a.alert_id

-- name: list_open_shifts
SELECT * FROM shifts WHERE close_time IS NULL ORDER BY open_time, shift_id

-- name: list_shifts
SELECT * FROM shifts ORDER BY open_time DESC, shift_id DESC LIMIT $1

-- name: get_shift
SELECT * FROM shifts WHERE shift_id = $1

-- name: write_shift
INSERT INTO shifts (shift_id, members, called, open_time, close_time, closed_by, note) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (shift_id) DO UPDATE SET
    members = excluded.members, called = excluded.called, close_time = excluded.close_time, closed_by = excluded.closed_by,
    note = excluded.note

-- name: expire_shifts
DELETE FROM shifts WHERE close_time <= $1

-- name: list_shelvings
SELECT * FROM shelvings WHERE until > $1 ORDER BY until, shelving_id

-- name: get_shelving
SELECT * FROM shelvings WHERE shelving_id = $1

-- name: write_shelving
INSERT INTO shelvings (shelving_id, scope, until, actor, reason, create_time) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (shelving_id) DO UPDATE SET until = excluded.until

-- name: expire_shelvings
DELETE FROM shelvings WHERE until <= $1
