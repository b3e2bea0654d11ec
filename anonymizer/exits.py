"""Where masked pictures go: to the live view and the recording, or back to the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from argo.type.v1 import media_pb2

if TYPE_CHECKING:
    from anonymizer.broadcast import Broadcast
    from anonymizer.encoder import EncodedPicture
    from anonymizer.metrics import AnonymizerMetrics
    from anonymizer.recording import Recorder, RecordingTrack
    from anonymizer.unpacking import OpticPolicy
    from argo.anonymizer.v1 import redaction_service_pb2


class Exit(Protocol):
    """The way out of one redaction stream.

    Attributes:
        name: for the log.
    """

    name: str

    def configure(self, policy: OpticPolicy) -> None:
        """Takes the optic's policy, and every later one."""

    def take_key_frame_wish(self) -> bool:
        """Whether the next picture should be a key frame."""

    def put(self, picture: EncodedPicture, timestamp: int, response: redaction_service_pb2.RedactResponse) -> None:
        """Takes the picture of one frame; never waits.

        Args:
            picture: the masked picture.
            timestamp: the caller's presentation time of the frame.
            response: the result of the frame, not yet sent.
        """


class ReturnExit:
    """Back to the caller, in the result of the frame."""

    name = "return"

    def configure(self, policy: OpticPolicy) -> None:
        """See Exit."""

    def take_key_frame_wish(self) -> bool:
        """See Exit."""
        return False

    def put(self, picture: EncodedPicture, timestamp: int, response: redaction_service_pb2.RedactResponse) -> None:
        """See Exit."""
        response.masked.CopyFrom(
            media_pb2.AccessUnit(data=picture.data, presentation_timestamp=timestamp, key_frame=picture.key_frame)
        )


class LiveExit:
    """To everyone who watches, and to the recording: the same bytes.

    Args:
        broadcast: hands them to the viewers.
        recorder: records them; None: nothing is recorded.
        metrics: counts viewers that were cut.
    """

    name = "live"

    def __init__(self, broadcast: Broadcast, recorder: Recorder | None, metrics: AnonymizerMetrics) -> None:
        self._broadcast = broadcast
        self._recorder = recorder
        self._metrics = metrics
        self._recording: RecordingTrack | None = None

    def configure(self, policy: OpticPolicy) -> None:
        """See Exit."""
        self._broadcast.most_viewers = policy.maximum_viewers
        self._broadcast.viewer_kinds = policy.viewers
        self.close()
        if self._recorder is not None and policy.retention is not None:
            self._recording = self._recorder.track(policy.optic, policy.retention)

    def take_key_frame_wish(self) -> bool:
        """See Exit."""
        return self._broadcast.take_key_frame_wish()

    def put(self, picture: EncodedPicture, timestamp: int, response: redaction_service_pb2.RedactResponse) -> None:
        """See Exit."""
        del timestamp, response  # viewers and recordings go by capture time
        cut = self._broadcast.publish(picture)
        if cut:
            self._metrics.viewers_cut.labels(self._broadcast.optic).inc(cut)
        if self._recording is not None:
            self._recording.add(picture)

    def close(self) -> None:
        """Hands what was recorded so far over to the store."""
        if self._recording is not None:
            self._recording.end()
            self._recording = None
