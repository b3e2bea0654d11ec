-- What an alarm stands for, who has it, when time acts on it; shifts; what is set aside; verdicts by rule.
ALTER TABLE alerts
    ADD COLUMN kind smallint NOT NULL DEFAULT 1 CHECK (kind BETWEEN 1 AND 3),
    ADD COLUMN topic text NOT NULL DEFAULT '',
    ADD COLUMN incident text NOT NULL DEFAULT '',
    ADD COLUMN owner text NOT NULL DEFAULT '',
    ADD COLUMN escalations integer NOT NULL DEFAULT 0,
    ADD COLUMN due_time timestamptz,
    ADD COLUMN other_optics text[] NOT NULL DEFAULT '{}';
CREATE INDEX alerts_due ON alerts (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX alerts_rule_place ON alerts (rule, place, capture_time);

-- An empty act is of a version that did not say.
ALTER TABLE alert_transitions
    ADD COLUMN act text NOT NULL DEFAULT '',
    ADD COLUMN object text NOT NULL DEFAULT '';

ALTER TABLE events
    ADD COLUMN assessment smallint NOT NULL DEFAULT 0 CHECK (assessment BETWEEN 0 AND 3);
CREATE INDEX events_alert ON events (alert_id, capture_time DESC, event_id) WHERE alert_id IS NOT NULL;
CREATE INDEX events_shadow ON events (rule, capture_time DESC, event_id) WHERE NOT live;

CREATE TABLE shifts (
    shift_id text PRIMARY KEY,
    members text[] NOT NULL,
    called text[] NOT NULL,
    open_time timestamptz NOT NULL,
    close_time timestamptz,
    closed_by text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT ''
);
CREATE INDEX shifts_open ON shifts (open_time) WHERE close_time IS NULL;

CREATE TABLE shelvings (
    shelving_id text PRIMARY KEY,
    scope text NOT NULL,
    until timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    create_time timestamptz NOT NULL
);
CREATE INDEX shelvings_until ON shelvings (until);

-- Verdicts of operators by rule and day: figures without a person or a picture, so they outlive what they are about.
CREATE TABLE rule_verdicts (
    rule text NOT NULL,
    live boolean NOT NULL,
    day date NOT NULL,
    raised bigint NOT NULL DEFAULT 0,
    true_count bigint NOT NULL DEFAULT 0,
    false_count bigint NOT NULL DEFAULT 0,
    cannot_tell_count bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (rule, live, day)
);
