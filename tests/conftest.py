"""How the suite is shared between processes: a module's tests stay together, and so do all that need the whole mesh."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_E2E = "tests/e2e/"
_SLOWEST_FIRST = (_E2E, "tests/integration/", "tests/contract/", "tests/chart/", "tests/unit/")


class ByModule(LoadScopeScheduling):  # type: ignore[misc] # ships no type information
    """Gives a process one module after the other, and one process all that shares the mesh."""

    def _split_scope(self, nodeid: str) -> str:
        return _E2E if nodeid.startswith(_E2E) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    return ByModule(config, log)


@pytest.hookimpl(trylast=True)  # after pytest-randomly has shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What takes longest begins first, so that no process is left alone with it at the end.
    items.sort(key=lambda item: next(n for n, folder in enumerate(_SLOWEST_FIRST) if item.nodeid.startswith(folder)))
