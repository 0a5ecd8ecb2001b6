"""A parent's year as a picture: calm windows, texts, answers and holds on days across and hours down. SVG text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Any

from schedules import localtime, windows
from schedules.policy import Policy
from schedules.values import Thread

_DAY_WIDTH = 4
_HOUR_HEIGHT = 20
_FIRST_HOUR, _LAST_HOUR = 7, 23
_LEFT, _TOP = 46, 34
_COLOURS: Mapping[str, str] = {
    "talk": "#b4491f",
    "checkin": "#1f6f8b",
    "followup": "#1f6f8b",
    "gate": "#7a3e9d",
    "reminder": "#6b7280",
    "crisis": "#b91c1c",
}
_OTHER = "#2f7d4f"
_LEGEND = (("talk", "talk"), ("checkin", "question"), ("gate", "gate"), ("reminder", "reminder"), ("tip", "other text"))


def year(events: Iterable[Mapping[str, Any]], thread: Thread, policy: Policy, *, start: datetime, days: int) -> str:
    """An SVG document of `days` days from `start`, drawn from a simulation's events."""
    zone = thread.profile.timezone
    first = localtime.local(start, zone).date()
    listed = list(events)
    width = _LEFT + days * _DAY_WIDTH + 10
    height = _TOP + (_LAST_HOUR - _FIRST_HOUR) * _HOUR_HEIGHT + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="system-ui" font-size="11">',
        f"<title>{days} days from {first.isoformat()}</title>",
        f'<rect width="{width}" height="{height}" fill="#fffdf9"/>',
        *_windows(thread, policy, start, days),
        *_holds(listed, start, days, zone),
        *_axes(start, days, zone),
    ]
    parts += [mark for event in listed for mark in _mark(event, start, zone)]
    return "\n".join([*parts, *_legend(height), "</svg>\n"])


def _x(at: datetime, start: datetime, zone: str) -> float:
    days = (localtime.local(at, zone).date() - localtime.local(start, zone).date()).days
    return _LEFT + days * _DAY_WIDTH


def _y(minute: float) -> float:
    return _TOP + (minute / 60 - _FIRST_HOUR) * _HOUR_HEIGHT


def _windows(thread: Thread, policy: Policy, start: datetime, days: int) -> list[str]:
    first = localtime.local(start, thread.profile.timezone).date()
    found = []
    for n in range(days):
        for window in windows.calm_windows(thread, policy, first + timedelta(days=n)):
            top, bottom = _y(window.start), _y(min(window.end, _LAST_HOUR * 60))
            found.append(
                f'<rect x="{_LEFT + n * _DAY_WIDTH}" y="{top:.0f}" width="{_DAY_WIDTH}" height="{bottom - top:.0f}" '
                'fill="#dcefe3"/>'
            )
    return found


def _holds(events: list[Mapping[str, Any]], start: datetime, days: int, zone: str) -> list[str]:
    """A red band from each hold to its release, or to the end."""
    found, since = [], None
    last = _LEFT + days * _DAY_WIDTH
    for event in events:
        at = _x(datetime.fromisoformat(event["at"]), start, zone)
        if event["event"] == "hold" and since is None:
            since = at
        elif event["event"] == "release" and since is not None:
            found.append((since, at))
            since = None
    if since is not None:
        found.append((since, last))
    height = (_LAST_HOUR - _FIRST_HOUR) * _HOUR_HEIGHT
    return [
        f'<rect x="{a:.0f}" y="{_TOP}" width="{max(b - a, _DAY_WIDTH):.0f}" height="{height}" fill="#f8d7d4"/>'
        for a, b in found
    ]


def _axes(start: datetime, days: int, zone: str) -> list[str]:
    first = localtime.local(start, zone).date()
    found = [
        f'<text x="8" y="{_y(hour * 60) + 4:.0f}" fill="#57534e">{hour:02}:00</text>'
        for hour in range(_FIRST_HOUR + 1, _LAST_HOUR, 2)
    ]
    for n in range(days):
        day = first + timedelta(days=n)
        if day.day == 1 or n == 0:
            x = _LEFT + n * _DAY_WIDTH
            found.append(f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{_y(_LAST_HOUR * 60):.0f}" stroke="#e7e0d6"/>')
            found.append(f'<text x="{x + 2}" y="{_TOP - 8}" fill="#57534e">{day.strftime("%b %Y")}</text>')
    return found


def _mark(event: Mapping[str, Any], start: datetime, zone: str) -> list[str]:
    if event["event"] not in ("send", "in"):
        return []
    at = datetime.fromisoformat(event["at"])
    x, y = _x(at, start, zone) + _DAY_WIDTH / 2, _y(localtime.minute_of_day(at, zone))
    label = escape(f"{event['local'][:16]} {event.get('step') or event.get('text', '')}")
    if event["event"] == "in":
        return [f'<path d="M{x:.1f} {y - 4:.1f}l4 7h-8z" fill="#44403c"><title>{label}</title></path>']
    if event.get("reply_to") and event.get("kind") != "crisis":
        return []
    colour = _COLOURS.get(str(event.get("kind")), _OTHER)
    return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{label}</title></circle>']


def _legend(height: int) -> list[str]:
    found, x, y = [], _LEFT, height - 12
    for kind, words in _LEGEND:
        colour = _COLOURS.get(kind, _OTHER)
        found.append(
            f'<circle cx="{x + 4}" cy="{y - 4}" r="4" fill="{colour}"/><text x="{x + 12}" y="{y}">{words}</text>'
        )
        x += 26 + 7 * len(words)
    found.append(f'<path d="M{x + 4} {y - 8}l4 7h-8z" fill="#44403c"/><text x="{x + 14}" y="{y}">answer</text>')
    found.append(f'<rect x="{x + 66}" y="{y - 9}" width="10" height="10" fill="#dcefe3"/>')
    found.append(f'<text x="{x + 80}" y="{y}">calm window</text>')
    found.append(f'<rect x="{x + 166}" y="{y - 9}" width="10" height="10" fill="#f8d7d4"/>')
    found.append(f'<text x="{x + 180}" y="{y}">hold</text>')
    return found
