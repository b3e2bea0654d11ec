-- Queries of the scenes: for which place what is drawn over an optic's picture was confirmed.

-- name: confirmed_places
-- Of the optics of the devices $1.
SELECT name, site, deployment FROM scenes WHERE parent = ANY ($1::text[])

-- name: scene_versions
-- Of the optics of the devices $1; grows with every confirmation.
SELECT name, version FROM scenes WHERE parent = ANY ($1::text[])

-- name: confirm_scene
INSERT INTO scenes (name, site, deployment) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET site = EXCLUDED.site, deployment = EXCLUDED.deployment
