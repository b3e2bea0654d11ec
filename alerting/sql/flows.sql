-- name: write_flow_report
-- One statement, hence one transaction. A report that was counted before changes nothing.
WITH fresh AS (
    INSERT INTO flow_reports (optic, start_time, expire_time) VALUES ($1, $2, $3)
    ON CONFLICT (optic, start_time) DO NOTHING
    RETURNING optic
), coverage AS (
    INSERT INTO flow_coverage (optic, minute, analysed_seconds, light_seconds, expire_time)
    SELECT optic, $4, $5, $6, $3 FROM fresh
    ON CONFLICT (optic, minute) DO UPDATE SET
        analysed_seconds = flow_coverage.analysed_seconds + excluded.analysed_seconds,
        light_seconds = flow_coverage.light_seconds + excluded.light_seconds
), places AS (
    INSERT INTO flow_places (place, optic, site, registered, area_square_metres)
    SELECT place, fresh.optic, $7, false, max(present / density) FILTER (WHERE density > 0 AND present > 0)
    FROM fresh, unnest($8::text[], $14::float8[], $16::float8[]) AS counted (place, present, density)
    GROUP BY place, fresh.optic
    ORDER BY place
    ON CONFLICT (place) DO UPDATE SET area_square_metres = excluded.area_square_metres
    WHERE excluded.area_square_metres IS NOT NULL AND (
        flow_places.area_square_metres IS NULL
        OR abs(flow_places.area_square_metres - excluded.area_square_metres) > 0.05 * flow_places.area_square_metres
    )
), counted AS (
    INSERT INTO flow_minutes (
        optic, minute, expire_time, place, object_class, left_to_right, right_to_left, measured, speed_sum, present_seconds,
        maximum_present, density_seconds, maximum_density
    )
    SELECT fresh.optic, $4, $3, counted.*
    FROM fresh, unnest(
        $8::text[], $9::smallint[], $10::integer[], $11::integer[], $12::integer[], $13::float8[], $14::float8[], $15::integer[],
        $16::float8[], $17::float8[]
    ) AS counted (
        place, object_class, left_to_right, right_to_left, measured, speed_sum, present_seconds, maximum_present, density_seconds,
        maximum_density
    )
    ORDER BY counted.place, counted.object_class
    ON CONFLICT (place, minute, object_class) DO UPDATE SET
        left_to_right = flow_minutes.left_to_right + excluded.left_to_right,
        right_to_left = flow_minutes.right_to_left + excluded.right_to_left,
        measured = flow_minutes.measured + excluded.measured,
        speed_sum = flow_minutes.speed_sum + excluded.speed_sum,
        present_seconds = flow_minutes.present_seconds + excluded.present_seconds,
        maximum_present = greatest(flow_minutes.maximum_present, excluded.maximum_present),
        density_seconds = flow_minutes.density_seconds + excluded.density_seconds,
        maximum_density = greatest(flow_minutes.maximum_density, excluded.maximum_density)
), turned AS (
    INSERT INTO flow_turns (optic, minute, expire_time, from_line, to_line, object_class, turned)
    SELECT fresh.optic, $4, $3, turned.*
    FROM fresh, unnest($18::text[], $19::text[], $20::smallint[], $21::integer[]) AS turned (
        from_line, to_line, object_class, turned
    )
    ORDER BY turned.from_line, turned.object_class, turned.to_line
    ON CONFLICT (from_line, minute, object_class, to_line) DO UPDATE SET turned = flow_turns.turned + excluded.turned
), near_missed AS (
    INSERT INTO flow_near_misses (optic, minute, expire_time, zone, time_to_collision, post_encroachment)
    SELECT fresh.optic, $4, $3, near_missed.*
    FROM fresh, unnest($22::text[], $23::integer[], $24::integer[]) AS near_missed (
        zone, time_to_collision, post_encroachment
    )
    ORDER BY near_missed.zone
    ON CONFLICT (zone, minute) DO UPDATE SET
        time_to_collision = flow_near_misses.time_to_collision + excluded.time_to_collision,
        post_encroachment = flow_near_misses.post_encroachment + excluded.post_encroachment
)
SELECT count(*) AS counted FROM fresh

-- name: expire_flow_reports
DELETE FROM flow_reports WHERE ctid IN (SELECT ctid FROM flow_reports WHERE expire_time <= $1 LIMIT $2)

-- name: expire_flow_coverage
DELETE FROM flow_coverage WHERE ctid IN (SELECT ctid FROM flow_coverage WHERE expire_time <= $1 LIMIT $2)

-- name: expire_flow_minutes
DELETE FROM flow_minutes WHERE ctid IN (SELECT ctid FROM flow_minutes WHERE expire_time <= $1 LIMIT $2)

-- name: expire_flow_turns
DELETE FROM flow_turns WHERE ctid IN (SELECT ctid FROM flow_turns WHERE expire_time <= $1 LIMIT $2)

-- name: expire_flow_near_misses
DELETE FROM flow_near_misses WHERE ctid IN (SELECT ctid FROM flow_near_misses WHERE expire_time <= $1 LIMIT $2)

-- name: find_flow_places
-- Every line and zone that is one of $1 or stands at one of the sites $2; all, when both are empty. Unless $3, civil ones only.
SELECT place, optic, site
FROM flow_places
WHERE ((cardinality($1::text[]) = 0 AND cardinality($2::text[]) = 0) OR place = ANY ($1) OR site = ANY ($2)) AND ($3 OR civil)
ORDER BY place

-- name: list_flow_coverage
-- The share that was analysed of each pair of an optic $1 and a start $2, of length $3, by the pair's number; of none, no row. OFFSET 0
-- has each pair look up its own few minutes: joined as a whole, every minute of an optic would meet every pair of it.
SELECT number, sum(least(minutes.analysed_seconds, 60))::float8 AS analysed_seconds
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS pairs (optic, start, number)
CROSS JOIN LATERAL (
    SELECT analysed_seconds FROM flow_coverage
    WHERE optic = pairs.optic AND minute >= pairs.start AND minute < pairs.start + $3::interval
    OFFSET 0
) AS minutes
GROUP BY number

-- name: list_flow_classes
-- What was counted at each pair of a place $1 and a start $2, of length $3, by the pair's number and by class.
SELECT number, object_class, sum(left_to_right)::bigint AS left_to_right, sum(right_to_left)::bigint AS right_to_left,
    sum(measured)::bigint AS measured, sum(speed_sum)::float8 AS speed_sum, sum(present_seconds)::float8 AS present_seconds,
    max(maximum_present)::integer AS maximum_present, sum(density_seconds)::float8 AS density_seconds,
    max(maximum_density)::float8 AS maximum_density
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS pairs (place, start, number)
CROSS JOIN LATERAL (
    SELECT * FROM flow_minutes WHERE place = pairs.place AND minute >= pairs.start AND minute < pairs.start + $3::interval OFFSET 0
) AS minutes
GROUP BY number, object_class

-- name: list_flow_turns
-- The turning movements from a line $1, likewise.
SELECT number, object_class, to_line, sum(turned)::bigint AS turned
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS pairs (line, start, number)
CROSS JOIN LATERAL (
    SELECT * FROM flow_turns WHERE from_line = pairs.line AND minute >= pairs.start AND minute < pairs.start + $3::interval OFFSET 0
) AS minutes
GROUP BY number, object_class, to_line

-- name: list_flow_near_misses
-- The near misses in a zone $1, likewise.
SELECT number, sum(time_to_collision)::bigint AS time_to_collision, sum(post_encroachment)::bigint AS post_encroachment
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS pairs (zone, start, number)
CROSS JOIN LATERAL (
    SELECT * FROM flow_near_misses WHERE zone = pairs.zone AND minute >= pairs.start AND minute < pairs.start + $3::interval OFFSET 0
) AS minutes
GROUP BY number

-- name: register_flow_places
-- What the registry says; a place that it no longer has stays with what was counted there.
INSERT INTO flow_places (
    place, optic, site, registered, display_name, site_display_name, latitude, longitude, controller, law_enforcement
)
SELECT place, optic, site, true, display_name, site_display_name, latitude, longitude, controller, law_enforcement
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[], $8::text[], $9::boolean[]
) AS places (
    place, optic, site, display_name, site_display_name, latitude, longitude, controller, law_enforcement
)
ORDER BY place
ON CONFLICT (place) DO UPDATE SET
    site = excluded.site, registered = true, display_name = excluded.display_name,
    site_display_name = excluded.site_display_name, latitude = excluded.latitude, longitude = excluded.longitude,
    controller = excluded.controller, law_enforcement = excluded.law_enforcement
WHERE (flow_places.site, flow_places.registered, flow_places.display_name, flow_places.site_display_name, flow_places.latitude,
        flow_places.longitude, flow_places.controller, flow_places.law_enforcement)
    IS DISTINCT FROM (excluded.site, true, excluded.display_name, excluded.site_display_name, excluded.latitude, excluded.longitude,
        excluded.controller, excluded.law_enforcement)

-- name: describe_flow_places
SELECT place, optic, site, display_name, site_display_name, latitude, longitude, controller, law_enforcement
FROM flow_places WHERE place = ANY ($1::text[])

-- name: find_open_places
-- As find_flow_places, of what the registry knows: whether a place is in the list never depends on what was counted.
SELECT place, optic, site
FROM flow_places
WHERE registered AND civil AND ((cardinality($1::text[]) = 0 AND cardinality($2::text[]) = 0) OR place = ANY ($1) OR site = ANY ($2))
ORDER BY place

-- name: begin_open_flows
INSERT INTO open_flow_head (next_time) VALUES ($1) ON CONFLICT (one) DO NOTHING

-- name: get_open_head
SELECT
    (SELECT min(start_time) FROM open_flow_releases) AS first_time, coalesce((SELECT next_time FROM open_flow_head), $1) AS next_time

-- name: lock_open_head
SELECT next_time FROM open_flow_head FOR UPDATE

-- name: move_open_head
UPDATE open_flow_head SET next_time = $1

-- name: write_open_release
INSERT INTO open_flow_releases (start_time, length, release_time) VALUES ($1, $2, $3)

-- name: list_open_candidates
SELECT counted.place, counted.object_class, sum(left_to_right)::bigint AS left_to_right, sum(right_to_left)::bigint AS right_to_left,
    sum(measured)::bigint AS measured, sum(speed_sum)::float8 AS speed_sum, sum(present_seconds)::float8 AS present_seconds,
    max(places.area_square_metres) AS area, (
        SELECT coalesce(sum(least(analysed_seconds, 60)), 0)::float8 FROM flow_coverage
        WHERE flow_coverage.optic = places.optic AND minute >= $1 AND minute < $2
    ) AS analysed_seconds
FROM flow_minutes AS counted JOIN flow_places AS places USING (place)
WHERE counted.minute >= $1 AND counted.minute < $2 AND places.registered AND places.civil
GROUP BY counted.place, counted.object_class, places.optic

-- name: write_open_flow
INSERT INTO open_flows (
    start_time, length, place, category, counted, uncertainty, left_to_right, right_to_left, speed, density, coverage
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: list_open_flows
SELECT place, start_time, category, counted, uncertainty, left_to_right, right_to_left, speed, density, coverage
FROM open_flows
WHERE place = ANY ($1::text[]) AND start_time >= $2 AND start_time < $3 AND length <= $4
ORDER BY place, start_time, category

-- name: list_open_releases
SELECT start_time FROM open_flow_releases WHERE start_time >= $1 AND start_time < $2 AND length <= $3 ORDER BY start_time
