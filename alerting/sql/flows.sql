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
-- Every line and zone that is one of $1 or stands at one of the sites $2; all, when both are empty.
SELECT place, optic, site
FROM flow_places
WHERE (cardinality($1::text[]) = 0 AND cardinality($2::text[]) = 0) OR place = ANY ($1) OR site = ANY ($2)
ORDER BY place

-- name: list_flows
-- Cells of $1, each made of the places $2 with their optics $3, in steps of $6 from $4 to $5; after the cell ($7, $8, $9, $10).
WITH members AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS members (target, place, optic)
), optics AS (
    SELECT DISTINCT target, optic FROM members
), grid AS MATERIALIZED (
    -- Every pair has a row of all classes together, so more pairs than rows are never looked at.
    SELECT target, start
    FROM (SELECT DISTINCT target FROM members) AS targets,
        generate_series($4::timestamptz, $5::timestamptz - $6::interval, $6::interval) AS start
    WHERE (target, start) >= ($7::text, $8::timestamptz)
    ORDER BY target, start
    LIMIT $11::integer
), covered AS (
    SELECT grid.target, grid.start,
        -- least() passes over what is not there.
        sum(least(coalesce(coverage.analysed_seconds, 0), 60)) / (count(DISTINCT optics.optic) * extract(epoch FROM $6::interval))
            AS share
    FROM grid
    JOIN optics USING (target)
    LEFT JOIN flow_coverage AS coverage
        ON coverage.optic = optics.optic AND coverage.minute >= grid.start AND coverage.minute < grid.start + $6::interval
    GROUP BY grid.target, grid.start
), classes AS (
    SELECT grid.target, grid.start, counted.object_class,
        sum(left_to_right) AS left_to_right, sum(right_to_left) AS right_to_left, sum(measured) AS measured,
        sum(speed_sum) AS speed_sum, sum(present_seconds) AS present_seconds, max(maximum_present) AS maximum_present,
        sum(density_seconds) AS density_seconds, max(maximum_density) AS maximum_density
    FROM grid
    JOIN members USING (target)
    JOIN flow_minutes AS counted
        ON counted.place = members.place AND counted.minute >= grid.start AND counted.minute < grid.start + $6::interval
    GROUP BY grid.target, grid.start, counted.object_class
), together AS (
    SELECT target, start,
        sum(left_to_right) AS left_to_right, sum(right_to_left) AS right_to_left, sum(measured) AS measured,
        sum(speed_sum) AS speed_sum, sum(present_seconds) AS present_seconds, max(maximum_present) AS maximum_present,
        sum(density_seconds) AS density_seconds, max(maximum_density) AS maximum_density
    FROM classes
    GROUP BY target, start
), missed AS (
    SELECT grid.target, grid.start, sum(time_to_collision) AS time_to_collision, sum(post_encroachment) AS post_encroachment
    FROM grid
    JOIN members USING (target)
    JOIN flow_near_misses AS missed
        ON missed.zone = members.place AND missed.minute >= grid.start AND missed.minute < grid.start + $6::interval
    GROUP BY grid.target, grid.start
), turned AS (
    SELECT grid.target, grid.start, turn.object_class, turn.to_line, sum(turn.turned) AS turned
    FROM grid
    JOIN members USING (target)
    JOIN flow_turns AS turn
        ON turn.from_line = members.place AND turn.minute >= grid.start AND turn.minute < grid.start + $6::interval
    -- A site has no one line to turn from.
    WHERE grid.target = members.place
    GROUP BY grid.target, grid.start, turn.object_class, turn.to_line
), cells AS (
    SELECT target, start, 0::smallint AS object_class, '' AS to_place, left_to_right, right_to_left, measured, speed_sum,
        present_seconds, maximum_present, density_seconds, maximum_density, 0::bigint AS turned, time_to_collision, post_encroachment
    FROM grid LEFT JOIN together USING (target, start) LEFT JOIN missed USING (target, start)
    UNION ALL
    SELECT target, start, object_class, '', left_to_right, right_to_left, measured, speed_sum,
        present_seconds, maximum_present, density_seconds, maximum_density, 0, 0, 0
    FROM classes WHERE object_class <> 0
    UNION ALL
    SELECT target, start, object_class, to_line, 0, 0, 0, 0, 0, 0, 0, 0, turned, 0, 0 FROM turned
)
SELECT
    target, start, object_class, to_place, least(covered.share, 1)::float8 AS coverage,
    coalesce(left_to_right, 0)::bigint AS left_to_right, coalesce(right_to_left, 0)::bigint AS right_to_left,
    coalesce(measured, 0)::bigint AS measured, coalesce(speed_sum, 0)::float8 AS speed_sum,
    coalesce(present_seconds, 0)::float8 AS present_seconds, coalesce(maximum_present, 0)::integer AS maximum_present,
    coalesce(density_seconds, 0)::float8 AS density_seconds, coalesce(maximum_density, 0)::float8 AS maximum_density,
    turned::bigint AS turned, coalesce(time_to_collision, 0)::bigint AS time_to_collision,
    coalesce(post_encroachment, 0)::bigint AS post_encroachment
FROM cells JOIN covered USING (target, start)
WHERE (target, start, object_class, to_place) > ($7, $8, $9::smallint, $10::text)
ORDER BY target, start, object_class, to_place
LIMIT $11

-- name: register_flow_places
-- What the registry says; a place that it no longer has stays with what was counted there.
INSERT INTO flow_places (place, optic, site, registered, display_name, site_display_name, latitude, longitude)
SELECT place, optic, site, true, display_name, site_display_name, latitude, longitude
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[]) AS places (
    place, optic, site, display_name, site_display_name, latitude, longitude
)
ORDER BY place
ON CONFLICT (place) DO UPDATE SET
    site = excluded.site, registered = true, display_name = excluded.display_name,
    site_display_name = excluded.site_display_name, latitude = excluded.latitude, longitude = excluded.longitude
WHERE (flow_places.site, flow_places.registered, flow_places.display_name, flow_places.site_display_name, flow_places.latitude,
        flow_places.longitude)
    IS DISTINCT FROM (excluded.site, true, excluded.display_name, excluded.site_display_name, excluded.latitude, excluded.longitude)

-- name: describe_flow_places
SELECT place, optic, site, display_name, site_display_name, latitude, longitude FROM flow_places WHERE place = ANY ($1::text[])

-- name: find_open_places
-- As find_flow_places, of what the registry knows: whether a place is in the list never depends on what was counted.
SELECT place, optic, site
FROM flow_places
WHERE registered AND ((cardinality($1::text[]) = 0 AND cardinality($2::text[]) = 0) OR place = ANY ($1) OR site = ANY ($2))
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
WHERE counted.minute >= $1 AND counted.minute < $2 AND places.registered
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
