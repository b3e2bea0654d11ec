"""A network's inputs and outputs against its card, before anything is run.

This is where a model that says who somebody is would show itself: by an output that no head takes, or by one of
another shape. It is not loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.catalogue.errors import BadCardError
from detector.domain.heads.interface import describe, fits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.catalogue.cards import Card

_INPUT_TYPES: Final = {"uint8": "tensor(uint8)", "float16": "tensor(float16)", "float32": "tensor(float)"}
_OUTPUT_TYPES: Final = ("tensor(float)", "tensor(float16)")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output as onnxruntime describes it.

    Attributes:
        name: in the graph.
        type: for example tensor(float).
        shape: length of each axis; a name or None: open.
    """

    name: str
    type: str
    shape: Sequence[int | str | None]


def check_network(card: Card, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Refuse a network that is not what its card says.

    Raises:
        BadCardError: another input, an output too many (an embedding, keypoints or a plate would come this way) or too
            few, or one of another shape or type.
    """
    _check_input(card, inputs)
    head = card.output.build()
    wanted = {card.output.names.get(name, name): axes for name, axes in head.outputs.items()}
    names = [output.name for output in outputs]
    if sorted(names) != sorted(wanted):
        raise BadCardError(
            f"model {card.name} gives {', '.join(sorted(names)) or 'nothing'}; head {card.output.head} takes "
            f"{', '.join(sorted(wanted))} and nothing else"
        )
    for output in outputs:
        if output.type not in _OUTPUT_TYPES or not fits(output.shape, wanted[output.name]):
            raise BadCardError(
                f"output {output.name} of model {card.name} is a {output.type} of {describe(output.shape)}; "
                f"head {card.output.head} takes floats of {describe(wanted[output.name])} and nothing else"
            )


def _check_input(card: Card, inputs: Sequence[Port]) -> None:
    wanted = card.input.build()
    if len(inputs) != 1:
        raise BadCardError(f"model {card.name} has {len(inputs)} inputs; ARGO gives one, the frames")
    found = inputs[0]
    if found.type != _INPUT_TYPES[wanted.dtype] or not fits(found.shape, wanted.axes):
        raise BadCardError(
            f"input {found.name} of model {card.name} is a {found.type} of {describe(found.shape)}; "
            f"the card says {wanted.dtype} of {describe(wanted.axes)}"
        )
    frames = found.shape[0]
    if isinstance(frames, int) and frames != 1:
        raise BadCardError(f"model {card.name} takes exactly {frames} frames at a time; export it for one or for any")
