"""``argo audit``: is the record of every act whole, and who could change it."""

from __future__ import annotations

import hashlib
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import click

from mesh import audit
from mesh.audit import Act, Anchor, AuditEntry, AuditLog, ChainWalk, files
from mesh.audit.anchorage import CheckpointStore, open_store
from mesh.audit.expiry import expire as audit_expire
from mesh.audit.reading import EXPORT
from mesh.errors import StartupError
from mesh.local.database import administrator_dsn
from mesh.local.environment import DATABASES
from mesh.local.state import CHECKPOINTS_FOLDER, SIGNING_KEY
from mesh.local.terminal import OUT, run, state_option
from mesh.signing import StatementBrokenError, read_public_key, read_signing_key
from mesh.signing import verify as verify_statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mesh.audit import Place

_BROKEN: Final = 1
_READABLE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)

_postgres_option = click.option(
    "--postgres",
    envvar="ARGO_POSTGRES_DSN",
    show_envvar=True,
    help="Connection string, better given through the environment, where nobody sees it; default: the local mesh's.",
)
_schema_option = click.option(
    "--schema", "schemas", type=click.Choice(DATABASES), multiple=True, default=DATABASES, show_default=True,
    help="Whose log; may be repeated.",
)  # fmt: skip


class _NotLookedAtError(click.ClickException):
    exit_code = 2


class _NotGenuineError(click.ClickException):
    exit_code = _BROKEN


class _Anchor(click.ParamType[Anchor]):
    name = "sequence:hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Anchor:
        try:
            return value if isinstance(value, Anchor) else Anchor.parse(str(value))
        except ValueError:
            self.fail("must be SEQUENCE:HASH with 64 hexadecimal digits, as `argo audit verify` prints it", param, ctx)


@click.group("audit")
def audit_group() -> None:
    """The audit log: verify, export, protect."""


@audit_group.command()
@state_option
@_postgres_option
@_schema_option
@click.option("--anchor", type=_Anchor(), help="A head printed earlier, kept outside the database: shows a later cut.")
@click.option("--file", type=_READABLE, help="Verify an export instead.")
@click.option(
    "--checkpoints",
    envvar="ARGO_AUDIT_CHECKPOINT_URL",
    show_envvar=True,
    help="Where the services keep signed heads, file:///folder or a bucket; default: the local mesh's.",
)
@click.option("--key", type=_READABLE, help="Public key (PEM) that must have signed them; default: the local mesh's.")
@click.option("--manifest", type=_READABLE, help="What was signed of the export that --file names.")
def verify(
    state: Path,
    postgres: str | None,
    schemas: tuple[str, ...],
    anchor: Anchor | None,
    file: Path | None,
    **signed: Any,
) -> None:
    """Walk the whole hash chain and name the first entry that was changed, removed or moved.

    With the checkpoints, also a log that was cut at its end or written anew as a whole is found.

    Exit status: 0 whole, 1 not whole, 2 it could not be looked at.
    """
    if anchor is not None and file is None and len(schemas) != 1:
        raise click.UsageError("an anchor belongs to one log: name it with --schema")
    if signed["manifest"] is not None:
        anchor = _said_of(file, signed["manifest"], signed["key"])
    if file is not None:
        verdicts = {file.name: _walk_file(file, anchor)}
    else:
        kept = _kept(state, postgres, signed["checkpoints"], signed["key"])
        verdicts = _looked_at(lambda: _walk_databases(state, postgres, schemas, anchor, kept))
    for name, walk in verdicts.items():
        _tell(name, walk)
    if any(walk.finish() is not None for walk in verdicts.values()):
        raise click.exceptions.Exit(_BROKEN)


@audit_group.command()
@state_option
@_postgres_option
@click.option("--schema", type=click.Choice(DATABASES), required=True, help="Whose log.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A file to be made.")
@click.option("--who", required=True, help="Identity path of who exports, e.g. auditor/mrossi.")
@click.option("--why", required=True, help="The reason; it goes on record.")
@click.option("--to-whom", default="", help="Who receives it, if somebody else.")
@click.option("--case", default="", help="Number of the request or proceeding.")
def export(state: Path, postgres: str | None, schema: str, output: Path, **said: str) -> None:
    """Write a log to a file of JSON lines, which `argo audit verify --file` verifies without the database.

    The export itself is put on record first, as a consultation, or as a disclosure if somebody receives it.
    """
    act = Act.DISCLOSURE if said["to_whom"] else Act.CONSULTATION
    entry = AuditEntry(act, said["who"], said["why"], f"audit log of {schema}", said["to_whom"], said["case"])
    count = _looked_at(lambda: _export(state, postgres, schema, output, entry))
    OUT.print(f"{count} entries in {output}", soft_wrap=True)


@audit_group.command()
@click.option(
    "--postgres", envvar="ARGO_POSTGRES_DSN", show_envvar=True, required=True, help="Of a superuser; see `verify`."
)
@click.option("--schema", type=click.Choice(DATABASES), required=True, help="Whose log.")
@click.option("--service", required=True, help="Role with which the service logs in.")
def protect(postgres: str, schema: str, service: str) -> None:
    """Hand a log to a role of its own, so that the service can only append and read. Needs a superuser, once."""
    _looked_at(lambda: audit.protect(postgres, schema=schema, service=service))
    OUT.print(f"the audit log of {schema} belongs to {schema}_audit; {service} may INSERT and SELECT", soft_wrap=True)


@audit_group.command()
@click.option(
    "--postgres", envvar="ARGO_POSTGRES_DSN", show_envvar=True, required=True, help="Of a superuser; see `verify`."
)
@click.option("--schema", type=click.Choice(DATABASES), required=True, help="Whose log.")
@click.option("--years", type=click.FloatRange(min=0.5), default=5.0, show_default=True, help="The term of an entry.")
@click.option("--who", required=True, help="Identity path of who does it, e.g. administrator/mrossi.")
@click.option("--why", default="end of the term", show_default=True, help="The reason; it goes on record.")
def expire(postgres: str, schema: str, years: float, who: str, why: str) -> None:
    """Cut off the entries whose term is over; an entry of the log says so. Needs a superuser; export the log before."""
    before = datetime.now(UTC) - timedelta(days=years * 365.25)
    last = _looked_at(lambda: audit_expire(postgres, schema=schema, before=before, who=who, why=why))
    said = f"entries up to {last.sequence} are cut off" if last is not None else "no entry is so old"
    OUT.print(f"{schema}: {said}", soft_wrap=True)


def _walk_file(file: Path, anchor: Anchor | None) -> ChainWalk:
    walk = ChainWalk(anchor)
    try:
        with file.open(encoding="utf-8") as lines:
            for row in files.from_lines(lines):
                if walk.take([row]):
                    break
    except (ValueError, OSError) as error:
        raise _NotLookedAtError(f"{file}: {error}") from None
    return walk


async def _walk_databases(
    state: Path,
    postgres: str | None,
    schemas: tuple[str, ...],
    anchor: Anchor | None,
    kept: CheckpointStore | None,
) -> dict[str, ChainWalk]:
    walks = {}
    async with administrator_dsn(state, postgres) as dsn:
        for schema in schemas:
            heads = await kept.daily(schema) if kept is not None else []
            walks[schema] = walk = ChainWalk(anchor, *(head.anchor for head in heads))
            async with _opened(dsn, schema, writing=False) as log, aclosing(log.batches()) as batches:
                async for rows in batches:
                    if walk.take(rows):
                        break
    return walks


def _said_of(file: Path | None, manifest: Path, key: Path | None) -> Anchor:
    """The head that a genuine manifest names of a file."""
    if file is None or key is None:
        raise click.UsageError("a manifest is of an export (--file), and is checked with a key (--key)")
    try:
        said = verify_statement(manifest.read_bytes(), read_public_key(key.read_bytes())).payload
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if said.get("kind") != EXPORT or said.get("sha256") != digest:
            raise _NotGenuineError(f"NOT WHOLE: {file.name} is not the export that the manifest is of")
        return Anchor.parse(str(said["anchor"]))
    except StatementBrokenError as error:
        raise _NotGenuineError(f"NOT WHOLE: the manifest is not genuine: {error}") from None
    except (ValueError, OSError) as error:
        raise _NotLookedAtError(f"{manifest}: {error}") from None


def _kept(state: Path, postgres: str | None, url: str | None, key: Path | None) -> CheckpointStore | None:
    """Where signed heads are; none: nobody says so."""
    local = state.resolve()
    if url is None and postgres is None and (local / CHECKPOINTS_FOLDER).is_dir():
        url = (local / CHECKPOINTS_FOLDER).as_uri()
        if key is None and (local / SIGNING_KEY).exists():
            return CheckpointStore(open_store(url), read_signing_key(local / SIGNING_KEY).public_key())
    if url is None:
        return None
    if key is None:
        raise click.UsageError("checkpoints prove nothing without the key that signed them: name it with --key")
    try:
        return CheckpointStore(open_store(url), read_public_key(key.read_bytes()))
    except (ValueError, OSError, StartupError) as error:
        raise _NotLookedAtError(f"{key}: {error}") from None


async def _export(state: Path, postgres: str | None, schema: str, output: Path, entry: AuditEntry) -> int:
    count = 0
    async with administrator_dsn(state, postgres) as dsn, _opened(dsn, schema, writing=True) as log:
        await log.append(entry)
        with output.open("x", encoding="utf-8") as file:
            async for rows in log.batches():
                file.writelines(files.to_line(row) + "\n" for row in rows)
                count += len(rows)
    return count


@asynccontextmanager
async def _opened(dsn: str, schema: str, *, writing: bool) -> AsyncIterator[AuditLog]:
    """The log of a schema; makes nothing that is not there."""
    settings = {"search_path": schema, "default_transaction_read_only": "off" if writing else "on"}
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, timeout=10, server_settings=settings) as pool:
        yield AuditLog(pool)


def _looked_at(work: Callable[[], Awaitable[Any]]) -> Any:
    """Runs ``work``; whatever keeps it from its end is told plainly and gives exit status 2."""

    async def attempt() -> Any:
        try:
            return await work()
        except StatementBrokenError as error:
            raise _NotGenuineError(f"NOT WHOLE: a checkpoint is not genuine: {error}") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            # Of a connection string that cannot be read asyncpg's message would quote the secret.
            said = str(error) if isinstance(error, asyncpg.PostgresError) else type(error).__name__
            raise StartupError(f"the database refuses ({said})", "check the connection string and --schema") from None

    try:
        return run(attempt)
    except _NotGenuineError:
        raise
    except click.ClickException as error:
        raise _NotLookedAtError(error.message) from None


def _tell(name: str, walk: ChainWalk) -> None:
    finding = walk.finish()
    if finding is None:
        OUT.print(f"{name}: {walk.head.sequence} entries, whole; anchor {walk.head}", soft_wrap=True)
        return
    OUT.print(f"{name}: NOT WHOLE at entry {finding.sequence}: {finding.fault.value}", soft_wrap=True)
    OUT.print(f"  what     {finding.explanation}", soft_wrap=True)
    if finding.recorded_at is not None:
        OUT.print(f"  time     {finding.recorded_at.isoformat()}")
    OUT.print(f"  before   {_place(finding.before)}")
    OUT.print(f"  after    {_place(finding.after)}")


def _place(place: Place | None) -> str:
    return f"entry {place.sequence} of {place.recorded_at.isoformat()}" if place is not None else "none"
