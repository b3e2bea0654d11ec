-- Whose a line or zone is, and under which law its camera runs. Until the registry has said so, nobody but the control room sees it.
ALTER TABLE flow_places
    ADD COLUMN controller text NOT NULL DEFAULT '',
    ADD COLUMN law_enforcement boolean NOT NULL DEFAULT true,
    -- The city's own, under the GDPR: for those who are there for traffic, and in aggregates for everybody.
    ADD COLUMN civil boolean NOT NULL GENERATED ALWAYS AS (controller = 'controllers/city' AND NOT law_enforcement) STORED;
