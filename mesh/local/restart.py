"""When to start a process again. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartPolicy:
    """Delays that double from crash to crash, up to a limit, and begin anew after a healthy while.

    The first ones are short enough for a process that is killed once to be back within five seconds, its own start
    included.

    Attributes:
        first_delay: seconds before the first restart.
        longest_delay: seconds.
        healthy_after: a process that ran for this many seconds counts as healthy again.
    """

    first_delay: float = 0.1
    longest_delay: float = 10.0
    healthy_after: float = 20.0


class RestartBackoff:
    """The restarts of one process."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._crashes = 0

    def delay_after(self, uptime: float) -> float:
        """Seconds to wait before the process is started again.

        Args:
            uptime: seconds that it ran before it ended.
        """
        if uptime >= self._policy.healthy_after:
            self._crashes = 0
        # The exponent is bounded so that a process that crashes for weeks does not overflow it.
        delay = self._policy.first_delay * 2.0 ** min(self._crashes, 32)
        self._crashes += 1
        return min(delay, self._policy.longest_delay)
