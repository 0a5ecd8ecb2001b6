"""The line that says how to stop: in the welcome, then about monthly inside an ordinary text (stop.notice)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from schedules import render
from schedules.policy import Policy
from schedules.render import Rendered
from schedules.values import Texts, Thread

LINE = "stop_notice"  # its id among the service's own texts


def added(
    rendered: Rendered, thread: Thread, texts: Mapping[str, Texts], policy: Policy, now: datetime
) -> tuple[Rendered, Thread]:
    """The text with the line, and the thread that remembers it; both unchanged when it is not due or has no room."""
    said_at, line = thread.pace.notice_at, texts.get(LINE)
    if said_at is None or line is None or now - said_at < timedelta(days=policy.stop_notice_days):
        return rendered, thread
    longer = render.with_line(rendered, line, discreet=thread.profile.discreet)
    if longer is None:
        return rendered, thread
    return longer, replace(thread, pace=replace(thread.pace, notice_at=now))
