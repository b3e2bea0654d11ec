"""One line of the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """A figure beside what it is measured against.

    Attributes:
        what: was measured.
        measured: in words, with its unit.
        against: what it is compared with, in words, measured in the same run.
        ratio: of the two; None where there is none.
        bound: in words.
        holds: whether the bound holds; None when it could not be judged.
    """

    what: str
    measured: str
    against: str = ""
    ratio: float | None = None
    bound: str = ""
    holds: bool | None = None

    @classmethod
    def at_least(cls, what: str, measured: tuple[float, str], against: tuple[float, str], bound: float) -> Result:
        """A ratio that has a lower bound; each figure comes with its unit or description."""
        ratio = measured[0] / against[0] if against[0] else float("inf")
        return cls(
            what,
            f"{measured[0]:.1f} {measured[1]}",
            f"{against[0]:.1f} {against[1]}",
            ratio,
            f">= {bound:g}",
            ratio >= bound,
        )

    @classmethod
    def at_most(cls, what: str, measured: tuple[float, str], against: tuple[float, str], bound: float) -> Result:
        """A ratio that has an upper bound; each figure comes with its unit or description."""
        ratio = measured[0] / against[0] if against[0] else float("inf")
        return cls(
            what,
            f"{measured[0]:.1f} {measured[1]}",
            f"{against[0]:.1f} {against[1]}",
            ratio,
            f"<= {bound:g}",
            ratio <= bound,
        )

    def cells(self) -> tuple[str, ...]:
        """For the table."""
        verdict = {True: "holds", False: "MISSED", None: "not judged"}[self.holds]
        return (
            self.what,
            self.measured,
            self.against,
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.bound,
            verdict,
        )
