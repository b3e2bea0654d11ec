"""The policy's masking style, from the message to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from anonymizer.domain.silhouette import PALETTE, silhouette_of
from anonymizer.domain.verdict import ObjectClass
from anonymizer.pipeline import Pipeline
from anonymizer.unpacking import unpack_configuration
from argo.registry.v1 import lease_service_pb2, scene_pb2
from tests.unit.anonymizer.streets import RULES, Person, Street, verdict

PERSON = Person(48, 32)
BEHIND = Person(52, 36, 8, 24)
OPTIC = "devices/d/optics/o"


@pytest.mark.parametrize(
    ("style", "is_whole_box"),
    [
        (scene_pb2.Policy.MASKING_STYLE_UNSPECIFIED, False),
        (scene_pb2.Policy.MASKING_STYLE_SILHOUETTE, False),
        (scene_pb2.Policy.MASKING_STYLE_BOX, True),
    ],
)
def test_the_style_of_the_policy_is_what_is_drawn(
    style: scene_pb2.Policy.MaskingStyle.ValueType, *, is_whole_box: bool
) -> None:
    message = lease_service_pb2.OpticConfiguration(optic=OPTIC, policy=scene_pb2.Policy(masking_style=style))
    policy = unpack_configuration(message)
    pipeline, street = Pipeline(OPTIC, RULES), Street()
    pipeline.configure(mask_whole_picture=policy.mask_whole_picture, boxes=policy.boxes)
    for _ in range(40):
        pipeline.process(frame := street.frame(), verdict(frame))

    # Only a part of the detection's box differs from the street.
    masked = pipeline.process(frame := street.frame(BEHIND), verdict(frame, PERSON)).masked

    inside = masked.planes.luma[PERSON.area] == PALETTE[silhouette_of(ObjectClass.PERSON)][0]
    assert bool(inside.all()) is is_whole_box
    assert np.count_nonzero(inside) >= BEHIND.width * BEHIND.height
