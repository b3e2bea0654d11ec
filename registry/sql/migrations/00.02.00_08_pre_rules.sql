-- The kinds of rule beyond the first two. The parameters of each are one jsonb column, durations in it are seconds. The release
-- before reads such a rule as one without parameters, and leaves them alone when it changes something else of it.

ALTER TABLE rules
    ADD COLUMN zone_occupancy jsonb,
    ADD COLUMN loitering jsonb,
    ADD COLUMN wrong_way jsonb,
    ADD COLUMN stopped_vehicle jsonb,
    ADD COLUMN pedestrian_on_carriageway jsonb,
    ADD COLUMN slow_traffic jsonb,
    ADD COLUMN crowd_density jsonb,
    ADD COLUMN crowd_forming jsonb,
    ADD COLUMN dispersal jsonb,
    ADD COLUMN counter_flow jsonb,
    ADD COLUMN running_against_flow jsonb,
    ADD COLUMN abandoned_object jsonb,
    ADD COLUMN person_down jsonb,
    ADD COLUMN near_miss jsonb,
    ADD COLUMN smoke_or_fire jsonb,
    ADD COLUMN flooding jsonb,
    ADD COLUMN lost_visibility jsonb;

-- What a rule watches, whatever its kind calls for: a zone, a line or a lane.
ALTER TABLE rules
    ADD COLUMN watched_zone text COLLATE "C" GENERATED ALWAYS AS (COALESCE(
        zone_intrusion_zone,
        COALESCE(
            zone_occupancy, loitering, stopped_vehicle, pedestrian_on_carriageway, crowd_density, crowd_forming, dispersal,
            running_against_flow, abandoned_object, person_down, near_miss, smoke_or_fire, flooding, lost_visibility
        ) ->> 'zone'
    )) STORED,
    ADD COLUMN watched_line text COLLATE "C" GENERATED ALWAYS AS (
        COALESCE(line_crossing_line, counter_flow ->> 'line')
    ) STORED,
    ADD COLUMN watched_lane text COLLATE "C" GENERATED ALWAYS AS (COALESCE(wrong_way, slow_traffic) ->> 'lane') STORED,
    ADD COLUMN watched_kind text GENERATED ALWAYS AS (
        CASE WHEN pedestrian_on_carriageway IS NOT NULL THEN 'KIND_CARRIAGEWAY' END
    ) STORED,
    -- Null: it runs without calibration, or nobody is called.
    ADD COLUMN calibration_needed boolean GENERATED ALWAYS AS (
        CASE WHEN mode = 'MODE_LIVE' AND num_nonnulls(
            wrong_way, stopped_vehicle, slow_traffic, crowd_density, dispersal, running_against_flow, abandoned_object, near_miss
        ) > 0 THEN true END
    ) STORED;

ALTER TABLE optics
    ADD COLUMN calibrated boolean GENERATED ALWAYS AS (calibration_points IS NOT NULL) STORED,
    ADD UNIQUE (name, calibrated);
ALTER TABLE zones ADD UNIQUE (parent, name, kind);

DROP INDEX rule_by_line, rule_by_zone;
ALTER TABLE rules
    DROP CONSTRAINT rules_check,
    DROP CONSTRAINT rule_line_exists,
    DROP CONSTRAINT rule_zone_exists,
    ADD CONSTRAINT rule_has_one_kind CHECK (num_nonnulls(
        line_crossing_line, zone_intrusion_zone, zone_occupancy, loitering, wrong_way, stopped_vehicle,
        pedestrian_on_carriageway, slow_traffic, crowd_density, crowd_forming, dispersal, counter_flow, running_against_flow,
        abandoned_object, person_down, near_miss, smoke_or_fire, flooding, lost_visibility
    ) = 1),
    ADD CONSTRAINT rule_has_one_place CHECK (num_nonnulls(watched_zone, watched_line, watched_lane) = 1),
    ADD CONSTRAINT rule_parameters_not_negative CHECK (NOT jsonb_path_exists(COALESCE(
        zone_occupancy, loitering, wrong_way, stopped_vehicle, pedestrian_on_carriageway, slow_traffic, crowd_density,
        crowd_forming, dispersal, counter_flow, running_against_flow, abandoned_object, person_down, near_miss, smoke_or_fire,
        flooding, lost_visibility, '{}'
    ), '$.* ? (@ < 0)')),
    -- See registry.domain.rule_kinds.
    ADD CONSTRAINT rule_never_live CHECK (
        mode IS DISTINCT FROM 'MODE_LIVE'
        OR num_nonnulls(abandoned_object, person_down, near_miss, smoke_or_fire, flooding) = 0
    ),
    -- With the parent in the key: of the same optic.
    ADD CONSTRAINT rule_zone_exists FOREIGN KEY (parent, watched_zone) REFERENCES zones (parent, name),
    ADD CONSTRAINT rule_line_exists FOREIGN KEY (parent, watched_line) REFERENCES lines (parent, name),
    ADD CONSTRAINT rule_lane_exists FOREIGN KEY (parent, watched_lane) REFERENCES lanes (parent, name),
    ADD CONSTRAINT rule_zone_is_carriageway
        FOREIGN KEY (parent, watched_zone, watched_kind) REFERENCES zones (parent, name, kind),
    ADD CONSTRAINT rule_calibration_exists FOREIGN KEY (parent, calibration_needed) REFERENCES optics (name, calibrated);
CREATE INDEX rule_by_zone ON rules (parent, watched_zone) WHERE watched_zone IS NOT NULL;
CREATE INDEX rule_by_line ON rules (parent, watched_line) WHERE watched_line IS NOT NULL;
CREATE INDEX rule_by_lane ON rules (parent, watched_lane) WHERE watched_lane IS NOT NULL;
