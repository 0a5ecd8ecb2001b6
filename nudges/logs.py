"""Logs: words for people, or one JSON object a line for a collector. No number, name or text of a family, ever."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final

import structlog

# What code may add to a line with `extra`: ids, counts and our own words.
KEPT: Final = frozenset(
    {
        "action",
        "outbox_id",
        "parent_id",
        "alert_id",
        "lane_id",
        "inbound_id",
        "code",
        "endpoint",
        "engine",
        "duty",
        "count",
    }
)
# Libraries that would log numbers in addresses, or chatter.
QUIET: Final = ("apscheduler", "procrastinate", "alembic", "twilio.http_client", "urllib3", "apprise")
_NUMBER: Final = re.compile(r"\+?\d[\d\s().-]{8,}\d")


def set_up(form: str) -> None:
    """Send everything to standard error, in `words` or as `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_lines() if form == "json" else _Words())
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "is_ours", False):
            root.removeHandler(old)
    handler.is_ours = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def json_lines() -> structlog.stdlib.ProcessorFormatter:
    """One object a line: timestamp, level, logger, event, and the kept extras."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=KEPT),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _place_of_error,
            _without_numbers,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(sort_keys=True, ensure_ascii=False),
        ],
    )


def _place_of_error(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Which class of error, and where; its words may quote what somebody wrote."""
    found = event.pop("exc_info", None)
    if found:
        error = found[1] if isinstance(found, tuple) else sys.exc_info()[1]
        event["error"] = place_of(error)
    return event


def _without_numbers(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["event"] = redacted(str(event.get("event", "")))
    return event


def redacted(words: str) -> str:
    """The last net: whatever looks like a phone number is taken out."""
    return _NUMBER.sub("[number]", words)


def place_of(error: BaseException | None) -> str:
    """`ValueError at plan.py:64`."""
    if error is None:
        return "unknown"
    frames = extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


class _Words(logging.Formatter):
    """A line for people. The date is left alone, numbers in the message are not."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = redacted(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return place_of(ei[1])
