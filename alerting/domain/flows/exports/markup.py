"""Writing XML."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"


def document(root: Element, prefixes: Mapping[str, str]) -> bytes:
    """A document in UTF-8, indented.

    Args:
        root: its root.
        prefixes: by prefix the namespaces that values of attributes speak of.
    """
    for prefix, namespace in prefixes.items():
        register_namespace(prefix, namespace)
    indent(root)
    written: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return written + b"\n"


def add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    """A new last child."""
    child = SubElement(parent, tag, attributes)
    child.text = text
    return child


def time(value: datetime) -> str:
    """An ``xs:dateTime`` in UTC."""
    return f"{value:%Y-%m-%dT%H:%M:%SZ}"
