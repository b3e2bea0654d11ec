"""gRPC: server, channel, errors."""

from __future__ import annotations

import os

# The C core of grpc writes lines of its own to standard error, past the structured log; what they say comes as an
# exception too.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
