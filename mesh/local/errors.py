"""The errors that end an ``argo`` command with a plain message instead of a traceback."""

from __future__ import annotations

from mesh.errors import StartupError


class LocalError(StartupError):
    """The command cannot do what was asked, and the person at the terminal can put it right."""


class SourceError(LocalError):
    """A video source cannot be opened or holds no video."""


class StateError(LocalError):
    """The state folder cannot be used: taken by another runner, not writable, damaged."""


class ProcessError(LocalError):
    """A process of the mesh does not start, does not become ready or does not stay up."""
