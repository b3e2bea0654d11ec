"""What a service with an audit log is told of it."""

from __future__ import annotations

from pathlib import Path

import pydantic


class AuditSettings(pydantic.BaseModel):
    """Where the heads of the log are kept, and with which key they are signed."""

    signing_key_file: Path | None = pydantic.Field(
        None, description="PEM file with the Ed25519 key that signs checkpoints, exports and reports of erasure"
    )
    audit_checkpoint_url: pydantic.SecretStr | None = pydantic.Field(
        None, description="file:///folder or a bucket that the database's administrators cannot write; none: log lines"
    )
    audit_checkpoint_seconds: float = pydantic.Field(300.0, gt=0, description="how often the head is kept")
