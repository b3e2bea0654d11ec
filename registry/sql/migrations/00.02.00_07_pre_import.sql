-- An import changes many records in one statement: two devices may swap addresses, two stays their times. So uniqueness is
-- judged at the end of a statement, not row by row.

ALTER TABLE devices
    DROP CONSTRAINT device_address_unique,
    ADD CONSTRAINT device_address_unique UNIQUE (address) DEFERRABLE INITIALLY IMMEDIATE;

ALTER TABLE deployments
    DROP CONSTRAINT deployment_overlaps,
    ADD CONSTRAINT deployment_overlaps EXCLUDE USING gist (
        int8range(device_number, device_number, '[]') WITH &&, tstzrange(start_time, end_time) WITH &&
    ) DEFERRABLE INITIALLY IMMEDIATE;
