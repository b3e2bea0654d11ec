-- name: write_observers
INSERT INTO observers (optic, site) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING

-- name: read_observers
SELECT observer, optic, site FROM observers
WHERE (optic, site) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- name: upsert_finished
INSERT INTO observation_days (
    start_time, end_time, expire_time, track, observer, still_seconds, heading, leaving, speed_low, speed_high,
    colour_confidence, from_x, from_y, to_x, to_y, object_class, colour, finished, places, payload
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
ON CONFLICT (observer, start_time, track) DO UPDATE SET
    end_time = excluded.end_time, still_seconds = excluded.still_seconds, heading = excluded.heading,
    leaving = excluded.leaving, speed_low = excluded.speed_low, speed_high = excluded.speed_high,
    colour_confidence = excluded.colour_confidence, from_x = excluded.from_x, from_y = excluded.from_y,
    to_x = excluded.to_x, to_y = excluded.to_y, object_class = excluded.object_class, colour = excluded.colour,
    finished = excluded.finished, places = excluded.places, payload = excluded.payload
WHERE NOT observation_days.finished AND observation_days.end_time <= excluded.end_time

-- name: upsert_running
-- A track that has ended, or was taken for ended, does not come back to life by an old message.
INSERT INTO running_observations (
    start_time, end_time, expire_time, track, observer, still_seconds, heading, leaving, speed_low, speed_high,
    colour_confidence, from_x, from_y, to_x, to_y, object_class, colour, finished, places, payload, receive_time
)
SELECT
    $1::timestamptz, $2, $3, $4::bigint, $5::integer, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19::text[],
    $20::bytea, $21
WHERE NOT EXISTS (
    SELECT FROM observation_days AS ended
    WHERE ended.observer = $5::integer AND ended.start_time = $1::timestamptz AND ended.track = $4::bigint
)
ON CONFLICT (observer, start_time, track) DO UPDATE SET
    end_time = excluded.end_time, still_seconds = excluded.still_seconds, heading = excluded.heading,
    leaving = excluded.leaving, speed_low = excluded.speed_low, speed_high = excluded.speed_high,
    colour_confidence = excluded.colour_confidence, from_x = excluded.from_x, from_y = excluded.from_y,
    to_x = excluded.to_x, to_y = excluded.to_y, object_class = excluded.object_class, colour = excluded.colour,
    places = excluded.places, payload = excluded.payload, receive_time = excluded.receive_time
WHERE running_observations.end_time <= excluded.end_time

-- name: end_running
-- The tracks $2 of the observers $1: a number is of one track of its optic, so that their times need not come along.
DELETE FROM running_observations AS running USING unnest($1::integer[], $2::bigint[]) AS ended (observer, track)
WHERE running.observer = ended.observer AND running.track = ended.track

-- name: take_silent
-- Tracks of which nothing was heard since $1: their stream broke off. They are kept with the finished ones; what has expired at $3
-- is left to the erasure, which knows the holds and puts it on record.
DELETE FROM running_observations
WHERE ctid IN (
    SELECT ctid FROM running_observations WHERE receive_time < $1 AND expire_time > $3 ORDER BY receive_time LIMIT $2
)
RETURNING *

-- name: ensure_day
SELECT ensure_observation_day($1::date)

-- name: list_days
SELECT to_date(right(child.relname, 8), 'YYYYMMDD') AS day, quote_ident(child.relname) AS partition
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'observation_days'::regclass
ORDER BY day

-- name: write_holds_read
INSERT INTO holds_read (read_time) VALUES ($1) ON CONFLICT (one) DO UPDATE SET read_time = excluded.read_time

-- name: read_holds_time
SELECT read_time FROM holds_read

-- name: delete_held_intervals
DELETE FROM held_intervals

-- name: write_held_interval
INSERT INTO held_intervals (optic, start_time, end_time, expire_time) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: hold_observations
-- What is due and held is kept elsewhere, so that its day can go.
INSERT INTO held_observations
SELECT due.* FROM (
    SELECT * FROM observation_days WHERE expire_time <= $1
    UNION ALL
    SELECT
        start_time, end_time, expire_time, track, observer, still_seconds, heading, leaving, speed_low, speed_high,
        colour_confidence, from_x, from_y, to_x, to_y, object_class, colour, finished, places, payload
    FROM running_observations WHERE expire_time <= $1
) AS due JOIN observers USING (observer)
-- By the index of the few optics that anything is held of, not by all that is due.
WHERE due.observer = ANY (ARRAY(SELECT observer FROM observers WHERE optic IN (SELECT optic FROM held_intervals)))
    AND is_held(observers.optic, due.start_time, due.end_time, $2)
ON CONFLICT (observer, start_time, track) DO NOTHING

-- name: take_held_observations
-- What is kept elsewhere now leaves its day.
DELETE FROM observation_days AS due USING held_observations AS held
WHERE due.expire_time <= $1 AND (due.observer, due.start_time, due.track) = (held.observer, held.start_time, held.track)

-- name: take_held_running
DELETE FROM running_observations AS due USING held_observations AS held
WHERE due.expire_time <= $1 AND (due.observer, due.start_time, due.track) = (held.observer, held.start_time, held.track)

-- name: expire_observations
-- Of one day; {partition} is its table.
DELETE FROM {partition}
WHERE ctid = ANY (ARRAY(SELECT ctid FROM {partition} WHERE expire_time <= $1 LIMIT $2))

-- name: expire_running_observations
DELETE FROM running_observations
WHERE ctid = ANY (ARRAY(SELECT ctid FROM running_observations WHERE expire_time <= $1 LIMIT $2))

-- name: release_observations
-- What no hold keeps any more.
DELETE FROM held_observations AS kept USING observers
WHERE observers.observer = kept.observer AND NOT is_held(observers.optic, kept.start_time, kept.end_time, $1)

-- name: count_day
SELECT count(*) FROM {partition}

-- name: drop_day
DROP TABLE {partition}

-- name: lock_briefly
-- Whoever takes a day away waits for those who read it, and everybody else waits behind.
SET LOCAL lock_timeout = '2s'
