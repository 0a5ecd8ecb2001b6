"""Any messenger that Apprise speaks (e-mail, Slack, Teams, ntfy, PagerDuty and many more), behind one call.

An address is an Apprise URL. It holds passwords and addresses of people, so nothing here logs one, and errors name
the service only.
"""

from __future__ import annotations

import logging
import threading
import warnings
from functools import cache
from typing import Final, Protocol

import apprise
from apprise import NotifyBase

CONNECT_SECONDS: Final = 4.0
READ_SECONDS: Final = 6.0
CALL_SECONDS: Final = 15.0  # the longest that one notice may take: a name that does not resolve has no time-out
TITLE: Final = "Nudges"
# These reach the machine that Nudges runs on, or a desk beside it, and nobody who is on call.
_OF_THIS_MACHINE: Final = frozenset(
    {"dbus", "qt", "kde", "glib", "gnome", "gio", "macosx", "windows", "syslog", "blink1", "growl"}
)
# Apprise logs the addresses that it calls.
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


class AddressError(ValueError):
    """Not an address that anything can be sent to; the message says how one looks."""


class MessengerError(Exception):
    """A notice was not taken, or nobody answered in time. The message names the service and no address."""


class Messenger(Protocol):
    """Hands one notice to one address."""

    def send(self, url: str, body: str) -> None:
        """Returns once the service has taken it. Raises MessengerError. Never called with a session open."""
        ...


class AppriseMessenger:
    """A `Messenger` for every service that Apprise knows."""

    def __init__(self, *, call_seconds: float = CALL_SECONDS) -> None:
        self._call_seconds = call_seconds

    def send(self, url: str, body: str) -> None:
        try:
            service = _plugin(url)
        except AddressError as error:
            raise MessengerError("the address can no longer be read") from error
        outcome: list[bool] = []
        # A thread that may be left behind: no library promises that a call ends, and the next notice must not wait.
        call = threading.Thread(target=_notify, args=(service, body, outcome), daemon=True, name="notice")
        call.start()
        call.join(self._call_seconds)
        if call.is_alive():
            raise MessengerError(f"{service.service_name}: no answer in {self._call_seconds:.0f} s")
        if outcome != [True]:
            raise MessengerError(f"{service.service_name}: refused, or cannot be reached")


def service_of(url: str) -> str:
    """The name of the service behind an address, such as "Slack": what may be shown. Raises AddressError."""
    return str(_plugin(url).service_name)


def _plugin(url: str) -> NotifyBase:
    schema = url.strip().partition("://")[0].lower()
    if schema in _OF_THIS_MACHINE:
        raise AddressError("This address would only show something on the server itself. Use one that reaches people.")
    _load()
    plugin = apprise.Apprise.instantiate(url.strip()) if "://" in url else None
    if not isinstance(plugin, NotifyBase):
        raise AddressError(
            "Apprise does not know this address. It should look like mailto://user:password@example.org, "
            "slack://token/… or ntfys://host/topic; github.com/caronc/apprise lists them all."
        )
    plugin.socket_connect_timeout = min(float(plugin.socket_connect_timeout), CONNECT_SECONDS)
    plugin.socket_read_timeout = min(float(plugin.socket_read_timeout), READ_SECONDS)
    return plugin


@cache
def _load() -> None:
    """Find the services once. One of them imports a module that Python warns about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        apprise.Apprise.instantiate("json://localhost")


def _notify(service: NotifyBase, body: str, outcome: list[bool]) -> None:
    try:
        outcome.append(bool(service.notify(body=body, title=TITLE)))
    except Exception:  # a service's own fault is a refusal to us, and its words may hold the address
        outcome.append(False)
