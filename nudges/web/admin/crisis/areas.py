"""The desk's blueprints: for admins, and always over what is in force."""

from __future__ import annotations

from flask import Blueprint

from nudges.desk.live import follow
from nudges.web.context import wiring
from nudges.web.guards import admin_area


def desk_area(name: str, import_name: str) -> Blueprint:
    """An admin area whose pages show the newest version, also where no text has come in since."""
    area = admin_area(name, import_name)
    area.before_request(_follow)
    return area


def _follow() -> None:
    follow(wiring().screen)
