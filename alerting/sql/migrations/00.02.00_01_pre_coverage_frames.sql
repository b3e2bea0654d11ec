-- What became of the frames of an interval. A gateway that does not count them yet reports none.
ALTER TABLE coverage_reports
    ADD COLUMN received_frames bigint NOT NULL DEFAULT 0,
    ADD COLUMN analysed_frames bigint NOT NULL DEFAULT 0,
    ADD COLUMN masked_frames bigint NOT NULL DEFAULT 0,
    ADD COLUMN held_back_frames bigint NOT NULL DEFAULT 0,
    ADD COLUMN shed_frames bigint NOT NULL DEFAULT 0;
