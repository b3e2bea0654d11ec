-- What is worked out from other columns is not there yet when the guards of a row look, and says nothing that those do not.
CREATE OR REPLACE FUNCTION substance_of(record jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
    RETURN record - ARRAY[
        'display_name', 'parent', 'version', 'create_time', 'update_time',
        'watched_zone', 'watched_line', 'watched_lane', 'watched_kind', 'calibration_needed'
    ];
