"""nats-server as a child process."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh.tls import TlsFiles


from mesh.embedded.server import LOOPBACK, EmbeddedServer


class EmbeddedNats(EmbeddedServer):
    """nats-server with JetStream on disk, mutual TLS, and a sync of every write, as in the cluster."""

    kind = "nats-server"
    stop_signal = signal.SIGTERM

    def __init__(
        self, folder: Path, *, tls: TlsFiles | None = None, port: int | None = None, start_timeout: float = 60.0
    ) -> None:
        """Prepares a server.

        Args:
            folder: see ``EmbeddedServer``.
            tls: its certificate (identity ``system/nats``) and the authority of its clients; plain text without it.
            port: see ``EmbeddedServer``.
            start_timeout: see ``EmbeddedServer``.
        """
        super().__init__(folder, port=port, start_timeout=start_timeout)
        self._tls = tls

    @property
    def url(self) -> str:
        """For ``ARGO_NATS_URL``."""
        return f"{'tls' if self._tls else 'nats'}://{LOOPBACK}:{self.port}"

    async def _prepare(self) -> None:
        (self.folder / "nats.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        lines = [
            f"listen: {json.dumps(f'{LOOPBACK}:{self.port}')}",
            f"server_name: {json.dumps('argo-local')}",
            f"jetstream {{ store_dir: {json.dumps(str(self.folder / 'jetstream'))}, sync_interval: always }}",
        ]
        if self._tls is not None:
            certificate, key, ca = (
                json.dumps(str(path.resolve())) for path in (self._tls.certificate, self._tls.key, self._tls.ca)
            )
            lines.append(
                f"tls {{ cert_file: {certificate}, key_file: {key}, ca_file: {ca}, verify: true, timeout: 5 }}"
            )
        return "\n".join(lines) + "\n"

    def _command(self) -> list[str]:
        program = Path(sys.executable).with_name("nats-server")
        return [
            str(program if program.exists() else shutil.which("nats-server") or program),
            "-c",
            str(self.folder / "nats.conf"),
        ]

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        try:
            # The server speaks first, in plain text, also before a TLS handshake.
            greeting = await asyncio.wait_for(reader.readline(), 2)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return greeting.startswith(b"INFO") and b'"jetstream":true' in greeting
