-- The rows of the table before the days. Their columns for searches are not known: a search finds them by optic, class and time.
INSERT INTO observers (optic, site) SELECT DISTINCT optic, site FROM observations ON CONFLICT DO NOTHING;

SELECT ensure_observation_day(day)
FROM (SELECT DISTINCT (start_time AT TIME ZONE 'UTC')::date AS day FROM observations WHERE expire_time > now()) AS days;

INSERT INTO observation_days (
    start_time, end_time, expire_time, track, observer, colour_confidence, object_class, colour, finished, places, payload
)
SELECT
    old.start_time, old.end_time, old.expire_time, old.track, observers.observer, 0, old.object_class, 0, old.finished, '{}',
    old.payload
FROM observations AS old JOIN observers USING (optic, site)
WHERE old.expire_time > now()
ON CONFLICT (observer, start_time, track) DO NOTHING;

DROP TABLE observations;
