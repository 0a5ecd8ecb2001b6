"""Serves pages, webhooks and the scheduler in one process: `python app.py`, or any WSGI server on `app:app`."""

from __future__ import annotations

import os

from nudges.config import load
from nudges.factory import create_app, serve
from nudges.wiring import build

wiring = build(load())
app = create_app(wiring)

if __name__ == "__main__":
    serve(app, wiring, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8000")))
