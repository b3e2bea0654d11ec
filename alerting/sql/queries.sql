-- name: lock_sequence
SELECT epoch, floor, head FROM change_sequence FOR UPDATE

-- name: get_sequence
SELECT epoch, floor, head FROM change_sequence

-- name: set_head
UPDATE change_sequence SET head = $1

-- name: raise_floor
UPDATE change_sequence SET floor = greatest(floor, $1)

-- name: notify
SELECT pg_notify('alerting_changes', $1::text)

-- name: get_alert
SELECT a.*, ARRAY(SELECT t FROM alert_transitions AS t WHERE t.alert_id = a.alert_id ORDER BY t.ordinal) AS transitions,
    ARRAY(SELECT d FROM dispatch_states AS d WHERE d.alert_id = a.alert_id ORDER BY d.change) AS dispatches
FROM alerts AS a
WHERE a.alert_id = $1

-- name: list_alerts
SELECT a.*, ARRAY(SELECT t FROM alert_transitions AS t WHERE t.alert_id = a.alert_id ORDER BY t.ordinal) AS transitions,
    ARRAY(SELECT d FROM dispatch_states AS d WHERE d.alert_id = a.alert_id ORDER BY d.change) AS dispatches
FROM alerts AS a
WHERE (cardinality($1::smallint[]) = 0 OR a.state = ANY ($1))
    AND ($2::text IS NULL OR a.optic = $2)
    AND ($3::text IS NULL OR a.recipients @> ARRAY[$3])
    AND ($4::timestamptz IS NULL OR (a.create_time, a.alert_id) < ($4, $5))
ORDER BY a.create_time DESC, a.alert_id DESC
LIMIT $6

-- name: list_changes
-- Changes after $1 up to $2, oldest first; of those up to $3, the snapshot, only what is not closed.
SELECT a.*, ARRAY(SELECT t FROM alert_transitions AS t WHERE t.alert_id = a.alert_id ORDER BY t.ordinal) AS transitions,
    ARRAY(SELECT d FROM dispatch_states AS d WHERE d.alert_id = a.alert_id ORDER BY d.change) AS dispatches
FROM alerts AS a
WHERE a.change > $1 AND a.change <= $2 AND (a.change > $3 OR a.state <> 5)
    AND ($4::text IS NULL OR a.recipients @> ARRAY[$4])
ORDER BY a.change
LIMIT $5

-- name: write_alert
INSERT INTO alerts (
    alert_id, state, priority, optic, site, rule, place, summary, event, event_count, create_time, update_time, capture_time,
    last_capture_time, expire_time, assessment, recipients, change, kind, topic, incident, owner, escalations, due_time,
    other_optics
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25
)
ON CONFLICT (alert_id) DO UPDATE SET
    state = excluded.state, priority = excluded.priority, summary = excluded.summary, event = excluded.event,
    event_count = excluded.event_count, update_time = excluded.update_time, capture_time = excluded.capture_time,
    last_capture_time = excluded.last_capture_time, expire_time = excluded.expire_time,
    assessment = excluded.assessment, recipients = excluded.recipients, change = excluded.change, kind = excluded.kind,
    incident = excluded.incident, owner = excluded.owner, escalations = excluded.escalations, due_time = excluded.due_time,
    other_optics = excluded.other_optics

-- name: write_transition
INSERT INTO alert_transitions (alert_id, ordinal, state, actor, time, reason, act, object)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (alert_id, ordinal) DO NOTHING

-- name: get_request
SELECT fingerprint, response FROM alert_requests WHERE actor = $1 AND request_id = $2

-- name: write_request
INSERT INTO alert_requests (actor, request_id, alert_id, fingerprint, response) VALUES ($1, $2, $3, $4, $5)

-- name: write_events
INSERT INTO events (event_id, live, optic, site, rule, capture_time, receive_time, expire_time, payload)
SELECT * FROM unnest(
    $1::uuid[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
    $9::bytea[]
)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id

-- name: count_alerts
SELECT state, count(*) AS alerts FROM alerts GROUP BY state

-- name: write_report
INSERT INTO coverage_reports (
    report_id, optic, site, replica, start_time, length, received_seconds, analysed_seconds, masked_seconds, lost_seconds,
    elapsed_seconds, impairments, expire_time, received_frames, analysed_frames, masked_frames, held_back_frames, shed_frames
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (report_id) DO NOTHING
RETURNING report_id

-- name: write_gap
INSERT INTO coverage_gaps (report_id, ordinal, start_time, duration, kind, reason) VALUES ($1, $2, $3, $4, $5, $6)

-- name: list_coverage
SELECT
    optic,
    sum(received_seconds) AS received, sum(analysed_seconds) AS analysed, sum(masked_seconds) AS masked,
    sum(lost_seconds) AS lost, sum(elapsed_seconds) AS elapsed,
    sum(received_frames)::bigint AS received_frames, sum(analysed_frames)::bigint AS analysed_frames,
    sum(masked_frames)::bigint AS masked_frames, sum(held_back_frames)::bigint AS held_back_frames,
    sum(shed_frames)::bigint AS shed_frames,
    (
        SELECT impairments FROM coverage_reports AS latest
        WHERE latest.optic = report.optic AND latest.start_time >= $1 AND latest.start_time < $2
        ORDER BY latest.start_time DESC LIMIT 1
    ) AS impairments
FROM coverage_reports AS report
WHERE start_time >= $1 AND start_time < $2 AND (cardinality($3::text[]) = 0 OR optic = ANY ($3)) AND optic > $4
GROUP BY optic
ORDER BY optic
LIMIT $5

-- name: list_gaps
SELECT report.optic, gap.start_time, gap.duration, gap.kind, gap.reason
FROM coverage_reports AS report JOIN coverage_gaps AS gap USING (report_id)
WHERE report.start_time >= $1 AND report.start_time < $2 AND report.optic = ANY ($3::text[])

-- name: list_reported_optics
SELECT DISTINCT optic FROM coverage_reports WHERE start_time >= $1 AND start_time < $2

-- name: list_coverage_steps
-- By steps of $4 seconds from $1 on.
SELECT
    optic, floor(extract(epoch FROM start_time - $1::timestamptz) / $4::float8)::integer AS step,
    sum(received_seconds) AS received, sum(analysed_seconds) AS analysed, sum(masked_seconds) AS masked,
    sum(lost_seconds) AS lost, sum(elapsed_seconds) AS elapsed,
    sum(received_frames)::bigint AS received_frames, sum(analysed_frames)::bigint AS analysed_frames,
    sum(masked_frames)::bigint AS masked_frames, sum(held_back_frames)::bigint AS held_back_frames,
    sum(shed_frames)::bigint AS shed_frames
FROM coverage_reports
WHERE start_time >= $1 AND start_time < $2 AND optic = ANY ($3::text[])
GROUP BY optic, step
ORDER BY optic, step

-- name: list_unreported
-- Stretches of more than $4 between $1 and $2 that no report of an optic covers; of one without any, the whole.
WITH spans AS (
    SELECT optic, greatest(start_time, $1) AS since, least(start_time + length, $2) AS until
    FROM coverage_reports
    -- No report is longer than an hour, so that the index bounds what is read.
    WHERE optic = ANY ($3::text[]) AND start_time > $1::timestamptz - interval '1 hour' AND start_time < $2
        AND start_time + length > $1
), ordered AS (
    SELECT
        optic, since,
        coalesce(max(until) OVER (PARTITION BY optic ORDER BY since ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), $1) AS reached
    FROM spans
)
SELECT optic, reached AS since, since AS until FROM ordered WHERE since > reached + $4::interval
UNION ALL
SELECT optic, max(until), $2 FROM spans GROUP BY optic HAVING max(until) < $2::timestamptz - $4::interval
UNION ALL
SELECT optic, $1, $2 FROM unnest($3::text[]) AS optic WHERE $1 < $2 AND optic NOT IN (SELECT optic FROM spans)

-- name: list_impaired
-- What was wrong with pictures; reports that touch within a second are one stretch.
WITH seen AS (
    SELECT optic, unnest(impairments) AS impairment, start_time, start_time + length AS until
    FROM coverage_reports
    WHERE start_time >= $1 AND start_time < $2 AND optic = ANY ($3::text[]) AND impairments <> '{}'
), marked AS (
    SELECT
        *,
        (start_time > coalesce(max(until) OVER (
            PARTITION BY optic, impairment ORDER BY start_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) + interval '1 second', '-infinity'))::integer AS begins
    FROM seen
), stretches AS (
    SELECT *, sum(begins) OVER (PARTITION BY optic, impairment ORDER BY start_time) AS stretch FROM marked
)
SELECT optic, impairment, min(start_time) AS start_time, max(until) - min(start_time) AS duration
FROM stretches
GROUP BY optic, impairment, stretch
ORDER BY optic, start_time, impairment

-- name: use_sign_in
INSERT INTO console_sign_ins (secret_digest, use_time) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING use_time

-- name: expire_alerts
-- What expired by $1, except what a legal hold keeps at $3.
DELETE FROM alerts WHERE alert_id IN (
    SELECT alert_id FROM alerts
    WHERE expire_time <= $1 AND NOT is_held(optic, capture_time, last_capture_time, $3)
    LIMIT $2
) RETURNING change

-- name: expire_events
-- Likewise.
DELETE FROM events WHERE event_id IN (
    SELECT event_id FROM events WHERE expire_time <= $1 AND NOT is_held(optic, capture_time, capture_time, $3) LIMIT $2
)

-- name: expire_coverage
DELETE FROM coverage_reports WHERE report_id IN (SELECT report_id FROM coverage_reports WHERE expire_time <= $1 LIMIT $2)

-- name: expire_sign_ins
DELETE FROM console_sign_ins WHERE use_time <= $1
