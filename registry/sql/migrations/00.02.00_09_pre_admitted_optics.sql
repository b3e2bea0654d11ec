-- Which optics an admission has been told of: one that joins a refused device is refused, too, and must be heard of.
ALTER TABLE admissions ADD COLUMN optics text[] NOT NULL DEFAULT '{}';
UPDATE admissions SET optics =
    COALESCE((SELECT array_agg(optics.name ORDER BY optics.name) FROM optics WHERE optics.parent = admissions.name), '{}');
