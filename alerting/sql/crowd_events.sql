-- name: create_crowd_event
INSERT INTO crowd_events (crowd_event_id, state, definition, version, create_time, update_time) VALUES ($1, 1, $2, 1, $3, $3)
ON CONFLICT (crowd_event_id) DO NOTHING
RETURNING *

-- name: get_crowd_event
SELECT * FROM crowd_events WHERE crowd_event_id = $1

-- name: lock_crowd_event
SELECT * FROM crowd_events WHERE crowd_event_id = $1 FOR UPDATE

-- name: list_crowd_events
SELECT * FROM crowd_events
WHERE $1::timestamptz IS NULL OR (create_time, crowd_event_id) < ($1, $2::text)
ORDER BY create_time DESC, crowd_event_id DESC
LIMIT $3

-- name: update_crowd_event
UPDATE crowd_events SET state = $2, definition = $3, version = version + 1, update_time = $4, close_time = $5 WHERE crowd_event_id = $1
RETURNING *

-- name: list_open_crowd_events
SELECT crowd_event_id FROM crowd_events WHERE state = 1 ORDER BY crowd_event_id

-- name: take_crowd_event
-- One replica assesses an event at a time, the others go on to the next.
SELECT * FROM crowd_events WHERE crowd_event_id = $1 AND state = 1 FOR UPDATE SKIP LOCKED

-- name: list_sector_states
SELECT sector_id, colour, told_topics, told_times, status, assess_time FROM crowd_event_sectors WHERE crowd_event_id = $1

-- name: write_sector_state
INSERT INTO crowd_event_sectors (crowd_event_id, sector_id, colour, told_topics, told_times, status, assess_time)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (crowd_event_id, sector_id) DO UPDATE SET
    colour = excluded.colour, told_topics = excluded.told_topics, told_times = excluded.told_times, status = excluded.status,
    assess_time = excluded.assess_time

-- name: forget_sector_states
DELETE FROM crowd_event_sectors WHERE crowd_event_id = $1 AND sector_id <> ALL ($2::text[])

-- name: read_presence
-- Persons in zones by the minute; a minute of which nothing was analysed is missing.
SELECT zones.zone, coverage.minute, coalesce(counted.present_seconds, 0) / coverage.analysed_seconds AS mean,
    coalesce(counted.maximum_density, 0) AS maximum_density, least(coverage.analysed_seconds / 60, 1) AS coverage
FROM unnest($1::text[], $2::text[]) AS zones (zone, optic)
JOIN flow_coverage AS coverage ON coverage.optic = zones.optic AND coverage.minute >= $3 AND coverage.minute < $4
LEFT JOIN flow_minutes AS counted ON counted.place = zones.zone AND counted.minute = coverage.minute AND counted.object_class = 1
WHERE coverage.analysed_seconds > 0

-- name: read_crossings
-- Persons over lines by the minute, likewise.
SELECT lines.line, coverage.minute, coalesce(counted.left_to_right, 0) AS left_to_right,
    coalesce(counted.right_to_left, 0) AS right_to_left, least(coverage.analysed_seconds / 60, 1) AS coverage
FROM unnest($1::text[], $2::text[]) AS lines (line, optic)
JOIN flow_coverage AS coverage ON coverage.optic = lines.optic AND coverage.minute >= $3 AND coverage.minute < $4
LEFT JOIN flow_minutes AS counted ON counted.place = lines.line AND counted.minute = coverage.minute AND counted.object_class = 1
WHERE coverage.analysed_seconds > 0

-- name: sum_crossings
-- The same from $3 to $4 in one, with the share of that time that was analysed.
SELECT lines.line, coalesce(sum(counted.left_to_right), 0)::bigint AS left_to_right,
    coalesce(sum(counted.right_to_left), 0)::bigint AS right_to_left,
    coalesce(sum(least(coverage.analysed_seconds, 60)), 0) / greatest(extract(epoch FROM $4::timestamptz - $3::timestamptz), 1)::float8
        AS coverage
FROM unnest($1::text[], $2::text[]) AS lines (line, optic)
LEFT JOIN flow_coverage AS coverage ON coverage.optic = lines.optic AND coverage.minute >= $3 AND coverage.minute < $4
LEFT JOIN flow_minutes AS counted ON counted.place = lines.line AND counted.minute = coverage.minute AND counted.object_class = 1
GROUP BY lines.line

-- name: read_areas
SELECT place, site, area_square_metres FROM flow_places WHERE place = ANY ($1::text[])
