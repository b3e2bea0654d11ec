"""``argo-anonymizer``: checks what the anonymizer signed, without any service, network or secret."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from anonymizer import exports
from mesh import signing
from mesh.errors import StartupError

WHOLE, BROKEN, NOT_LOOKED_AT = 0, 1, 2
MANIFEST: Final = ".manifest.json"
"""A clip's manifest lies beside it, under its name with this at the end."""


class _NotLookedAtError(Exception):
    pass


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit status: 0 whole, 1 not whole, 2 it could not be looked at."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (_NotLookedAtError, StartupError) as error:
        print(error, file=sys.stderr)
        return NOT_LOOKED_AT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="argo-anonymizer", description="Checks what the anonymizer signed.")
    commands = parser.add_subparsers(required=True)
    verify = commands.add_parser(
        "verify",
        help="is an export, or a report of erasure, what was signed",
        description="Exit status: 0 whole, 1 not whole, 2 it could not be looked at.",
    )
    verify.add_argument("export", type=Path, help=f"a clip with its manifest beside it (CLIP{MANIFEST}), or a report")
    verify.add_argument("--key", type=Path, help="PEM file, the public key that the city published")
    verify.set_defaults(run=_verify)
    key = commands.add_parser("public-key", help="print the public key of a signing key, to be published")
    key.add_argument("key", type=Path, help="PEM file, the private key (ARGO_SIGNING_KEY_FILE)")
    key.set_defaults(run=_public_key)
    return parser


def _verify(options: argparse.Namespace) -> int:
    path = _statement_path(options.export)
    trusted = None if options.key is None else _trusted(options.key)
    try:
        statement = signing.verify(_read(path), trusted)
    except signing.StatementBrokenError as error:
        return _say_broken([f"{path.name}: {error}"])
    if statement.payload.get("type") == exports.EXPORT:
        clip = path.with_name(path.name.removesuffix(MANIFEST))
        try:
            with clip.open("rb") as content:
                found = [f"{clip.name}: {fault}" for fault in exports.faults(statement.payload, content)]
        except OSError as error:
            raise _NotLookedAtError(f"{clip} cannot be read: {error.strerror or error}") from None
        if found:
            return _say_broken(found)
    _say_whole(statement, known=trusted is not None)
    return WHOLE


def _statement_path(given: Path) -> Path:
    beside = given.with_name(given.name + MANIFEST)
    if given.is_dir():
        found = sorted(given.glob(f"*{MANIFEST}"))
        if len(found) != 1:
            raise _NotLookedAtError(f"{given} holds {len(found)} manifests: name one of them")
        return found[0]
    return beside if beside.exists() else given


def _trusted(path: Path) -> Any:
    try:
        return signing.read_public_key(_read(path))
    except ValueError as error:
        raise _NotLookedAtError(f"{path} holds {error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _NotLookedAtError(f"{path} cannot be read: {error.strerror or error}") from None


def _say_broken(found: list[str]) -> int:
    for fault in found:
        print(fault)
    print("not whole")
    return BROKEN


def _say_whole(statement: signing.Statement, *, known: bool) -> None:
    shown = {name: value for name, value in statement.payload.items() if name != "pieces"}
    print(json.dumps(shown, ensure_ascii=False, indent=2))
    print(f"whole; signed with the key {statement.thumbprint}")
    if not known:
        print("compare that with the key that the city published, or give it with --key")


def _public_key(options: argparse.Namespace) -> int:
    key = signing.read_signing_key(options.key).public_key()
    sys.stdout.write(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    print(f"thumbprint {signing.thumbprint_of(key)}", file=sys.stderr)
    return WHOLE


if __name__ == "__main__":
    sys.exit(main())
