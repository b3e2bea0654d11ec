-- Rights that somebody took in an emergency, until when, and what another person said about it.
CREATE TABLE break_glass_cases (
    case_id text PRIMARY KEY,
    person text NOT NULL CHECK (person <> ''),
    right_taken text NOT NULL CHECK (right_taken <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    case_reference text NOT NULL,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL CHECK (expire_time > create_time),
    review_due_time timestamptz NOT NULL,
    justified boolean,
    reviewer text NOT NULL DEFAULT '',
    review_reason text NOT NULL DEFAULT '',
    review_time timestamptz,
    -- Never oneself, in whatever role: the person is what follows the last slash.
    CHECK (lower(regexp_replace(reviewer, '.*/', '')) <> lower(regexp_replace(person, '.*/', ''))),
    CHECK ((justified IS NULL) = (reviewer = '') AND (justified IS NULL) = (review_time IS NULL))
);
CREATE INDEX break_glass_cases_newest ON break_glass_cases (create_time DESC, case_id DESC);
CREATE INDEX break_glass_cases_in_force ON break_glass_cases (person, expire_time);
CREATE INDEX break_glass_cases_unreviewed ON break_glass_cases (review_due_time) WHERE justified IS NULL;
