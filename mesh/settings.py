"""The settings of a service: all of its environment, typed and checked before anything starts.

Field ``F`` is read from the environment variable ``ARGO_<F in capitals>``. A variable that starts with ``ARGO_`` and
that the service does not know is an error, since it is most likely a typing mistake in a deployment. All mistakes are
told in one message.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

import pydantic

from mesh.access.settings import TokenSettings
from mesh.secrecy import mask_text
from mesh.tls import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "ARGO_"


class ServiceSettings(TokenSettings):
    """What every service can be told. Immutable; a service adds its own fields in a subclass."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    grpc_listen: str = pydantic.Field(
        "127.0.0.1:0", pattern=r"^.+:\d{1,5}$", description="host:port of the gRPC server"
    )
    http_listen: str = pydantic.Field(
        "127.0.0.1:0", pattern=r"^.+:\d{1,5}$", description="host:port of metrics, health"
    )
    grpc_reflection: bool = pydantic.Field(True, description="serve grpc.reflection; off at the edge of the network")
    tls_certificate: Path = pydantic.Field(description="PEM file, the certificate chain of this service")
    tls_key: Path = pydantic.Field(description="PEM file, the private key of that certificate")
    tls_ca: Path = pydantic.Field(description="PEM file, the authorities that sign the mesh's certificates")
    trust_domain: str = "argo.local"
    environment: str = "local"
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = pydantic.Field(
        None, description="OTLP gRPC collector, host:port or https://…; none: no traces"
    )
    trace_sample_ratio: float = pydantic.Field(0.01, ge=0, le=1)
    drain_delay_seconds: float = pydantic.Field(0.0, ge=0, description="wait between NOT_SERVING and the drain")
    shutdown_grace_seconds: float = pydantic.Field(10.0, ge=0, description="how long open calls may last at the end")

    @property
    def tls(self) -> TlsFiles:
        """The three files of mutual TLS."""
        return TlsFiles(certificate=self.tls_certificate, key=self.tls_key, ca=self.tls_ca)


S = TypeVar("S", bound=ServiceSettings)


class SettingsError(Exception):
    """The environment is wrong.

    Attributes:
        problems: one line per wrong variable, each beginning with its name; holds no value of a variable.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("wrong settings:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = problems


def load(settings_type: type[S], environ: Mapping[str, str]) -> S:
    """Reads the settings of a service from its environment.

    An empty variable counts as absent, as a Helm template leaves it when a value is not set.

    Raises:
        SettingsError: naming every bad, missing and unknown ``ARGO_`` variable at once, without their values.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value != ""}
    fields = {PREFIX + field.upper(): field for field in settings_type.model_fields}
    problems = [f"{name}: not a setting of this service" for name in sorted(given.keys() - fields.keys())]
    values = {
        field: _split(given[name]) if _is_tuple(settings_type.model_fields[field].annotation) else given[name]
        for name, field in fields.items()
        if name in given
    }
    try:
        settings = settings_type.model_validate(values)
    except pydantic.ValidationError as error:
        raise SettingsError(problems + [_explain(detail) for detail in error.errors(include_input=False)]) from None
    if problems:
        raise SettingsError(problems)
    return settings


def describe(settings: ServiceSettings) -> dict[str, object]:
    """The effective settings, fit for a log line: secrets are masked, and so are credentials inside URLs."""
    return {name: _plain(value) for name, value in settings}


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return mask_text(str(value))


def _split(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _is_tuple(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_is_tuple(argument) for argument in get_args(annotation))
    return origin is tuple or annotation is tuple


def _explain(detail: Any) -> str:
    location = [str(part) for part in detail["loc"]]
    if not location:
        return f"settings: {detail['msg']}"
    name = PREFIX + location[0].upper()
    if detail["type"] == "missing":
        return f"{name}: required and not set"
    item = f" (item {int(location[1]) + 1})" if len(location) > 1 and location[1].isdigit() else ""
    return f"{name}{item}: {detail['msg']}"
