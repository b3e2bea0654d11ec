-- name: list_observers
SELECT observer, optic, site FROM observers

-- name: find_tracks
-- Tracks of the observers $1 that were in view at any time between $2 and $3, of the classes $4, colours $5 and places $6 (empty:
-- any), of which none has expired at $8 unless a hold keeps it; at most $7.
WITH seen AS (
    SELECT * FROM observation_days
    WHERE observer = ANY ($1::integer[]) AND start_time >= $2::timestamptz - '600 s'::interval AND start_time <= $3
        AND end_time >= $2 AND end_time - start_time <= '600 s'::interval AND expire_time > $8
    UNION ALL
    SELECT * FROM observation_days
    WHERE observer = ANY ($1::integer[]) AND start_time <= $3 AND end_time >= $2
        AND end_time - start_time > '600 s'::interval AND expire_time > $8
    UNION ALL
    SELECT * FROM held_observations
    WHERE observer = ANY ($1::integer[]) AND start_time <= $3 AND end_time >= $2
    UNION ALL
    SELECT
        start_time, end_time, expire_time, track, observer, still_seconds, heading, leaving, speed_low, speed_high,
        colour_confidence, from_x, from_y, to_x, to_y, object_class, colour, finished, places, payload
    FROM running_observations AS running
    WHERE observer = ANY ($1::integer[]) AND start_time <= $3 AND end_time >= $2 AND expire_time > $8
        -- Of two replicas one may write that it runs while the other writes that it has ended: it is found once.
        AND (
            SELECT true FROM observation_days AS ended
            WHERE (ended.observer, ended.start_time, ended.track) = (running.observer, running.start_time, running.track)
        ) IS NULL
)
SELECT
    observer, track, start_time, end_time, expire_time, object_class, colour, colour_confidence, still_seconds, heading, leaving,
    speed_low, speed_high, from_x, from_y, to_x, to_y, places
FROM seen
WHERE (cardinality($4::smallint[]) = 0 OR object_class = ANY ($4))
    AND (cardinality($5::smallint[]) = 0 OR colour = ANY ($5) OR colour_confidence < 0.5)
    AND (cardinality($6::text[]) = 0 OR places && $6)
LIMIT $7

-- name: read_paths
WITH wanted AS (
    SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::bigint[]) AS wanted (observer, start_time, track)
)
SELECT observer, start_time, track, payload FROM wanted JOIN observation_days USING (observer, start_time, track)
UNION ALL
SELECT observer, start_time, track, payload FROM wanted JOIN held_observations USING (observer, start_time, track)
UNION ALL
SELECT observer, start_time, track, payload FROM wanted JOIN running_observations AS running USING (observer, start_time, track)
WHERE (
    SELECT true FROM observation_days AS ended
    WHERE (ended.observer, ended.start_time, ended.track) = (running.observer, running.start_time, running.track)
) IS NULL

-- name: find_events
SELECT optic, payload FROM events
WHERE live AND optic = ANY ($1::text[]) AND capture_time >= $2 AND capture_time <= $3

-- name: lock_person
SELECT pg_advisory_xact_lock(hashtextextended('searches/' || $1, 0))

-- name: count_searches
SELECT count(*) AS searches, min(create_time) AS first FROM searches
WHERE person = $1 AND case_reference = $2 AND create_time > $3

-- name: write_search
INSERT INTO searches (search_id, actor, person, case_reference, fingerprint, create_time) VALUES ($1, $2, $3, $4, $5, $6)

-- name: finish_search
UPDATE searches SET read_until = $2, total = $3, summary = $4 WHERE search_id = $1

-- name: write_results
INSERT INTO search_results (search_id, rank, expire_time, payload)
SELECT $1, * FROM unnest($2::integer[], $3::timestamptz[], $4::bytea[])

-- name: read_search
SELECT actor, case_reference, fingerprint, create_time, read_until, total, summary FROM searches WHERE search_id = $1

-- name: read_results
SELECT rank, payload FROM search_results
WHERE search_id = $1 AND rank >= $2 AND rank < $3 AND expire_time > $4
ORDER BY rank

-- name: expire_search_results
DELETE FROM search_results
WHERE ctid = ANY (ARRAY(SELECT ctid FROM search_results WHERE expire_time <= $1 LIMIT $2))

-- name: expire_searches
DELETE FROM searches WHERE ctid = ANY (ARRAY(SELECT ctid FROM searches WHERE create_time <= $1 LIMIT $2))
