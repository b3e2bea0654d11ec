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
