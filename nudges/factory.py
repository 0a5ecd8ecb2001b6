"""The web application: blueprints, sign-in, protections, templates."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from traceback import extract_tb

import waitress  # type: ignore[import-untyped]  # it ships no types
from flask import Flask, g, request
from flask_login import LoginManager, current_user
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from nudges import languages
from nudges.engine import ticks
from nudges.engine.distributed import DistributedEngine
from nudges.engine.embedded import EmbeddedEngine
from nudges.engine.waking import Waker
from nudges.web import auth, context, filters, health, hooks, phone, security
from nudges.web.admin import (
    personal_data,
    places,
    programs,
    records,
    rota,
    sending,
    sequence_drafts,
    sequences,
    signing,
    staff_accounts,
)
from nudges.web.admin.crisis import bench, drafts, lines, phrases, rehearsal
from nudges.web.counselor import alerts, care, conversation, enroll, families, importing, inbox, on_call
from nudges.web.pages import page
from nudges.wiring import Wiring

log = logging.getLogger(__name__)

ERRORS = {
    400: ("That did not work", "The form was too old or came from somewhere else. Go back, reload, try again."),
    403: ("This page is for admins", "Ask an admin of your program if you need something here."),
    404: ("Nothing here", "There is no such page, or it is not one of yours."),
    413: ("Too large", "That was more than one page can take."),
    429: ("One moment, please", "Too many tries in a short time. Wait five minutes, then try again."),
    500: ("Something broke on our side", "It has been logged. Nothing that you saved before is lost."),
}


def create_app(wiring: Wiring) -> Flask:
    """Build the application around `wiring`. Serves pages and webhooks; starts nothing by itself."""
    app = Flask("nudges.web", template_folder="templates", static_folder="static")
    app.extensions[context.WIRING] = wiring
    app.extensions[phone.BEAT] = partial(ticks.run_all, wiring)
    app.jinja_env.globals["languages"] = languages
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    security.protect(app, wiring.settings)
    filters.register(app)
    _sign_ins(app)
    register_areas(app)
    app.register_error_handler(HTTPException, _error_page)
    for impossible in (OverflowError, DataError):
        app.register_error_handler(impossible, _impossible)
    app.register_error_handler(Exception, _broken)
    app.context_processor(_page_context)
    return app


def _sign_ins(app: Flask) -> None:
    manager = LoginManager(app)
    manager.session_protection = None  # ours is the epoch; a changed address is a phone on the move
    manager.user_loader(auth.load_staff)


def register_areas(app: Flask) -> None:
    """Counselor and admin areas guard themselves; the phone exists only where nothing else could text."""
    for area in (auth.auth, auth.own_account, health.health):
        app.register_blueprint(area)
    for area in (families.area, enroll.area, care.area, conversation.area, alerts.area, inbox.area):
        app.register_blueprint(area)
    for area in (importing.area, on_call.area, rota.area, sending.area, personal_data.area):
        app.register_blueprint(area)
    for area in (sequences.area, sequence_drafts.area, staff_accounts.area, programs.area, records.area):
        app.register_blueprint(area)
    for area in (signing.area, places.area):
        app.register_blueprint(area)
    for area in (rehearsal.area, bench.area, phrases.area, drafts.area, lines.area):
        app.register_blueprint(area)
    app.register_blueprint(phone.phone)
    app.register_blueprint(hooks.hooks)
    security.csrf.exempt(hooks.hooks)  # signed by the provider instead


def _page_context() -> dict[str, object]:
    """What every template may use. `now` is read once per request."""
    if "now" not in g:
        g.now = context.now()
    return {"now": g.now, "member": current_user, "settings": context.wiring().settings}


def _error_page(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error  # a redirect that werkzeug raises
    title, words = ERRORS.get(error.code, ERRORS[400])
    return page("error.html", status=error.code, title=title, words=words, code=error.code)


def _impossible(error: Exception) -> Response | HTTPException:
    """A number that no id or date can hold names nothing that exists. A webhook's own trouble stays an error."""
    return _broken(error) if request.blueprint == hooks.hooks.name else _error_page(NotFound())


def _broken(error: Exception) -> Response:
    # Where, and of which kind; the message itself may quote what somebody wrote.
    place = extract_tb(error.__traceback__)[-1]
    log.error(
        "A page broke: %s at %s:%s.",
        type(error).__name__,
        Path(place.filename).name,
        place.lineno,
        extra={"action": "page_broke", "endpoint": request.endpoint},
    )
    title, words = ERRORS[500]
    return page("error.html", status=500, title=title, words=words, code=500)


def serve(app: Flask, wiring: Wiring, *, host: str, port: int, when_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until stopped, with the scheduler in the same process unless the settings leave that to workers.

    Raises OSError when the port cannot be had. `when_ready` is called once the first answer would come at once; who
    asks earlier waits.
    """
    server = waitress.create_server(app, host=host, port=port, threads=8)
    # The encoder loads in seconds; the first crisis text must not wait for it.
    wiring.screen("warm up the encoder", recent=(), own_texts=(), open_episode=False)
    keep_what_is_here()
    engine = engine_of(wiring)
    # What a page or a webhook queues is sent at once: by this process, or by whichever worker is free.
    waker = Waker(wiring.sessions, partial(engine.wake, "send"))
    if wiring.settings.run_scheduler:
        ticks.attach(engine, wiring)
        engine.start()
    own_disk = EmbeddedEngine()
    if not (wiring.settings.run_scheduler and wiring.settings.engine == "embedded"):
        ticks.attach_spool(own_disk, wiring)
        own_disk.start()
    try:
        when_ready()
        server.run()
    finally:
        waker.stop()
        own_disk.stop()
        engine.stop()


def work(wiring: Wiring) -> None:
    """Run the scheduler alone, until a signal to leave: the batch under way is finished, and lanes are given back."""
    engine = engine_of(wiring)
    ticks.attach(engine, wiring)
    keep_what_is_here()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: engine.leave())
    waker = Waker(wiring.sessions, partial(engine.wake, "send"))
    try:
        engine.run_forever()
    finally:
        waker.stop()


def keep_what_is_here() -> None:
    """Spare what a process starts with, which lasts as long as it does, from being looked through for garbage: a tenth
    of a second each time, in the middle of a batch or of a webhook."""
    gc.collect()
    gc.freeze()


def engine_of(wiring: Wiring) -> EmbeddedEngine | DistributedEngine:
    """The engine that the settings name."""
    if wiring.settings.engine == "distributed":
        return DistributedEngine(wiring.settings.database_url)
    return EmbeddedEngine()
