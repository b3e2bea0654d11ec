-- One street, as release 0.1.0 wrote it down; :controller was free text.
SELECT set_config('argo.author', 'administrator/mrossi', true);
INSERT INTO sites (name, display_name, location_latitude, location_longitude)
VALUES ('sites/alimonda', 'Giardini Alimonda', 45.0775, 7.7009);
INSERT INTO devices (
    name, site, address, view, mobility, legal_basis_purpose, legal_basis_dpia_reference, legal_basis_sign_reference,
    legal_basis_controller
) VALUES (
    'devices/palo-12', 'sites/alimonda', '10.0.0.12', 'VIEW_HYBRID', 'MOBILITY_FIXED', 'PURPOSE_TRAFFIC', 'DPIA 1', 'C-1',
    :controller
);
INSERT INTO optics (name, main_stream_path, policy_retention)
VALUES ('devices/palo-12/optics/nord', '/Streaming/Channels/101', 86400);
INSERT INTO zones (name, polygon) VALUES (
    'devices/palo-12/optics/nord/zones/giochi',
    '{"points": [{"x": 0.1, "y": 0.1}, {"x": 0.9, "y": 0.1}, {"x": 0.5, "y": 0.7}]}'
);
INSERT INTO rules (name, mode, zone_intrusion_zone, zone_intrusion_minimum_dwell) VALUES (
    'devices/palo-12/optics/nord/rules/sosta', 'MODE_LIVE', 'devices/palo-12/optics/nord/zones/giochi', 2.5
);
INSERT INTO admissions (name, site, reasons) VALUES ('devices/palo-12', 'sites/alimonda', '{}');
