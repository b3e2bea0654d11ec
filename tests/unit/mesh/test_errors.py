from __future__ import annotations

import subprocess
import sys

from mesh.errors import ERRORS, FieldViolation, InvalidArgument
from mesh.rpc import errors as rpc_errors


def test_domain_code_can_raise_errors_without_grpc() -> None:
    program = "import sys, mesh.errors; sys.exit('grpc' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_error_keeps_what_it_was_made_with() -> None:
    violation = FieldViolation("name", "must not be empty")
    error = InvalidArgument("wrong", reason="NAME_EMPTY", metadata={"name": ""}, violations=[violation])

    assert (str(error), error.reason, error.metadata, error.violations) == (
        "wrong",
        "NAME_EMPTY",
        {"name": ""},
        (violation,),
    )


def test_servicers_find_every_error_under_one_name() -> None:
    assert {kind.__name__ for kind in ERRORS.values()} <= set(rpc_errors.__all__)
