"""Fault scripts.

One fault a line: ``[device N] [optic N] [at S | after S | every S] [for S] FAULT [NAME=VALUE ...]``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mesh.local.camera.faults import RULES, Fault, FaultKind, FaultRule, Faults, Schedule, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)s?")
_TRIGGERS: Final = {trigger.value: trigger for trigger in Trigger if trigger is not Trigger.ALWAYS}
_AFTER_SUFFIX: Final = "-after"


class ScriptError(ValueError):
    """A fault script says what cannot be; the message names every bad line."""


@dataclass
class _Words:
    """What stands before the name of the fault."""

    schedule: Schedule = field(default_factory=Schedule)
    duration: float | None = None
    scope: dict[str, int] = field(default_factory=dict)


def parse_script(text: str) -> Faults:
    """Read a script. Lines may also be separated by semicolons; ``#`` begins a comment.

    Raises:
        ScriptError: at least one line is wrong.
    """
    faults, problems = [], []
    for number, line in _statements(text):
        try:
            faults.append(_parse_line(line))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        raise ScriptError("\n".join(problems))
    return Faults(tuple(faults))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for statement in line.partition("#")[0].split(";"):
            if statement.strip():
                yield number, statement


def _parse_line(line: str) -> Fault:
    tokens = line.split()
    words = _Words()
    while tokens and tokens[0] in {"device", "optic", "for", *_TRIGGERS}:
        if len(tokens) == 1:
            raise ValueError(f"{tokens[0]!r} needs a number")
        _take(words, tokens.pop(0), tokens.pop(0))
    if not tokens:
        raise ValueError("no fault is named")
    name = tokens.pop(0)
    if (short := _after_shorthand(name, tokens)) is not None:
        name, seconds = short
        _take(words, Trigger.AFTER.value, seconds)
    try:
        kind = FaultKind(name)
    except ValueError:
        known = ", ".join(known_kind.value for known_kind in FaultKind)
        raise ValueError(f"unknown fault {name!r}; known: {known}") from None
    rule = RULES[kind]
    numbers, target = _settings(name, rule, tokens)
    _check(name, rule, words)
    schedule = Schedule(words.schedule.trigger, words.schedule.seconds, words.duration or math.inf)
    return Fault(kind, schedule, numbers, target, words.scope.get("device"), words.scope.get("optic"))


def _after_shorthand(name: str, tokens: list[str]) -> tuple[str, str] | None:
    """``reset-after 3`` and ``reset-after=3`` are short for ``after 3 reset``."""
    base, equals, seconds = name.partition("=")
    if not base.endswith(_AFTER_SUFFIX):
        return None
    if not equals:
        if not tokens:
            raise ValueError(f"fault {base} needs a number of seconds, as in '{base} 3'")
        seconds = tokens.pop(0)
    return base.removesuffix(_AFTER_SUFFIX), seconds


def _take(words: _Words, keyword: str, value: str) -> None:
    if keyword in {"device", "optic"}:
        if keyword in words.scope:
            raise ValueError(f"{keyword!r} is said twice")
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise ValueError(f"{keyword} {value!r} is no number from 1")
        words.scope[keyword] = int(value)
        return
    match = _SECONDS.fullmatch(value)
    if match is None:
        raise ValueError(f"{keyword} {value!r} is no number of seconds")
    seconds = float(match[1])
    if keyword == "for":
        if words.duration is not None:
            raise ValueError("'for' is said twice")
        if seconds <= 0:
            raise ValueError("'for' needs more than 0 seconds")
        words.duration = seconds
        return
    if words.schedule.trigger is not Trigger.ALWAYS:
        raise ValueError("only one of 'at', 'after' and 'every' can be said")
    if keyword == Trigger.EVERY.value and seconds <= 0:
        raise ValueError("'every' needs more than 0 seconds")
    words.schedule = Schedule(_TRIGGERS[keyword], seconds)


def _settings(name: str, rule: FaultRule, tokens: list[str]) -> tuple[dict[str, float], str]:
    numbers = {setting: limits.default for setting, limits in rule.numbers.items()}
    target = ""
    for token in tokens:
        setting, equals, value = token.partition("=")
        if rule.needs_target and setting == "to" and value:
            target = value
            continue
        limits = rule.numbers.get(setting)
        if limits is None or not equals:
            known = ", ".join([*rule.numbers, *(["to"] if rule.needs_target else [])]) or "none"
            raise ValueError(f"fault {name} has no setting {token!r}; its settings: {known}")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"{setting}={value} is no number") from None
        if not limits.lowest <= number <= limits.highest:
            raise ValueError(f"{setting}={value} is not between {limits.lowest:g} and {limits.highest:g}")
        numbers[setting] = number
    if rule.needs_target and not target:
        raise ValueError(f"fault {name} needs to=URL")
    return numbers, target


def _check(name: str, rule: FaultRule, words: _Words) -> None:
    trigger = words.schedule.trigger
    if rule.momentary and trigger is Trigger.ALWAYS:
        raise ValueError(f"fault {name} happens at an instant: say 'at', 'after' or 'every'")
    if rule.momentary and words.duration is not None:
        raise ValueError(f"fault {name} happens at an instant and cannot last 'for' a time")
    if rule.before_play and trigger is Trigger.AFTER:
        raise ValueError(f"'after' counts from PLAY, and {name} comes before: say 'at'")
    if rule.whole_device and "optic" in words.scope:
        raise ValueError(f"fault {name} befalls a whole device, not one optic")
    if words.duration is not None and trigger is Trigger.ALWAYS:
        raise ValueError("'for' needs an 'at', 'after' or 'every'")
    if not rule.momentary and trigger is Trigger.EVERY:
        if words.duration is None:
            raise ValueError(f"fault {name} lasts: 'every' needs a 'for'")
        if words.duration > words.schedule.seconds:
            raise ValueError("'for' is longer than 'every'")
