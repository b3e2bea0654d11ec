"""What a camera is dialled with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camera_gateway.rtsp.authentication import Credentials
    from camera_gateway.rtsp.trust import CameraTrust


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """The secrets of one camera; asked anew at each dial, so that a changed secret needs no restart.

    Attributes:
        credentials: user and password, or None.
        trust: whose certificate is believed inside TLS.
    """

    credentials: Callable[[], Credentials | None]
    trust: Callable[[], CameraTrust]
