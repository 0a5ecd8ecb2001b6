"""Rendering: a whole page, or the fragment of it that htmx asked for; both come from one template."""

from __future__ import annotations

from typing import Any

from flask import make_response, redirect, render_template
from werkzeug.wrappers import Response

from nudges.web.guards import is_fragment


def page(template: str, *, fragment: str | None = None, status: int = 200, **values: Any) -> Response:
    """`template`, or `fragment` (a `_name.html` that the template includes) when htmx asks.

    A form that comes back with faults is a 200 like any page: nothing failed, a person is still typing.
    """
    name = fragment if fragment is not None and is_fragment() else template
    response = make_response(render_template(name, **values), status)
    response.vary.add("HX-Request")
    return response


def back_to(url: str) -> Response:
    """After a change: the page again. htmx gets the same, as a client-side redirect."""
    if not is_fragment():
        return redirect(url, 303)
    response = make_response("", 200)
    response.headers["HX-Redirect"] = url
    return response
