"""What the tracker believes, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackerParameters:
    """What the tracker believes, and for how long. Scores are the detector's, times in seconds.

    Attributes:
        birth_score: a detection from here on may begin a track; the card's threshold for events.
        strong_score: detections from here on are matched first; the card's threshold for tracking.
        proof_seconds: a believed track was seen in frames that stand for this much time; see track_life.LOOK_SECONDS.
        proof_travel: a believed track has moved by this many of its heights,
        still_score: or else its mean score is at least this: what is weak and never moved is a stone or a sign.
        patience_tentative: how long a track that is not believed may go unseen.
        patience: how long a believed one may.
        coast: how long a believed track that is not seen is still reported where it should be,
        coast_covered: and behind something else: that explains why it is not seen.
        settle_seconds: who has not moved by `proof_travel` for so long stands still.
        hold_doubt: a standing track is held while its being missed for so long is more likely than this.
        hold_least: and for so long at least,
        hold_most: and at most, whatever covers it;
        hold_most_living: people and animals, who walk off behind whatever covers them.
        cover: share of a box that something else covers, from which not seeing it says nothing.
        patience_clutter: how long a track may stand on known clutter, or be weak without ever having moved: who walks
            past a stone must not leave the track behind on it.
        clutter_doubt: clutter that has been seen for so long keeps no track alive,
        clutter_known: and for so long, lets none begin.
        near: largest cost of a match with a strong detection.
        near_weak: largest cost of a match with a weak one.
        stray: who was seen a moment ago is looked for within so many standard errors of where it should be, where that
            is further than `widening`: at a low frame rate, and who has just come,
        stray_most: and within so many of its heights,
        stray_seconds: if it was seen in the last frame or no longer ago than this. Whoever was missed for longer could
            be anybody.
        reach: who was seen in the last frame and fits nothing now may be the clear detection that begins nothing else,
            within so many standard errors of where it should be: who runs has no known velocity yet,
        reach_most: and within so many of its heights,
        reach_heights: and no smaller or larger than by this factor,
        near_reach: at this cost at most.
        widening: boxes are compared widened by this share of their size on every side.
        duplicate_overlap: a new track may not overlap a followed one of its kind by more than this.
        report_share: share of the way from the filtered box to its detection at which a track is reported. The filter
            trusts detections little, since their errors last; what is seen is nearer to them.
    """

    birth_score: float = 0.5
    strong_score: float = 0.3
    proof_seconds: float = 0.07
    proof_travel: float = 0.25
    still_score: float = 0.45
    patience_tentative: float = 0.35
    patience: float = 2.0
    coast: float = 0.15
    coast_covered: float = 0.25
    settle_seconds: float = 2.0
    hold_doubt: float = 0.01
    hold_least: float = 5.0
    hold_most: float = 60.0
    hold_most_living: float = 1.0
    cover: float = 0.3
    patience_clutter: float = 3.0
    clutter_doubt: float = 0.5
    clutter_known: float = 10.0
    near: float = 0.8
    near_weak: float = 0.6
    stray: float = 1.5
    stray_most: float = 1.0
    stray_seconds: float = 0.6
    reach: float = 4.0
    reach_most: float = 1.5
    reach_heights: float = 0.75
    near_reach: float = 0.85
    widening: float = 0.4
    duplicate_overlap: float = 0.5
    report_share: float = 0.4
