"""The HTTP side of the fake: routes, basic authentication, paging, and every way of not answering."""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.fake_twilio import behaviour as behaviours
from tests.support.fake_twilio.behaviour import Behaviour
from tests.support.fake_twilio.texts import Text

if TYPE_CHECKING:
    from tests.support.fake_twilio.server import FakeTwilio

_ROUTE = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Messages(?:/(SM[0-9a-fA-F]{32}))?\.json")
OFF_CONTRACT = "X-Fake-Off-Contract"  # marks answers that no specification promises, such as a proxy's page


class ApiServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeTwilio, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.fake = fake
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that gave up waiting is part of the play; anything else is a fault of the fake."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: ApiServer
    protocol_version = "HTTP/1.1"
    # Header and body in one packet: in two, Nagle and delayed acknowledgement cost 44 ms a call.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._route({})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        raw = self.rfile.read(length).decode()
        if self.headers.get_content_type() == "application/json":
            self._control(json.loads(raw or "{}"))
        else:
            self._route(dict(parse_qsl(raw, keep_blank_values=True)))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request line of a list call holds a number."""

    # The Messages API

    def _route(self, form: Mapping[str, str]) -> None:
        fake, parts = self.server.fake, urlsplit(self.path)
        if parts.path.startswith("/fake/"):
            return self._control({})
        if fake.account.is_about(parts.path):
            return self._account(parts.path)
        found = _ROUTE.fullmatch(parts.path)
        if found is None or found[1] != fake.account_sid:
            return self._refuse(404, 20404)
        if not self._is_authenticated():
            return self._refuse(401, 20003)
        fake.calls.append((self.command, parts.path))
        fake.peers.append(self.client_address)
        if found[2] is not None:
            return self._one(found[2], form)
        if self.command == "GET":
            return self._play(fake.scripted(), lambda: self._page(dict(parse_qsl(parts.query))))
        return self._create(form, fake.scripted())

    def _account(self, path: str) -> None:
        if not self._is_authenticated():
            return self._refuse(401, 20003)
        resource = self.server.fake.account.resource(path, self.server.fake.account_sid)
        return self._refuse(404, 20404) if resource is None else self._answer(200, resource)

    def _is_authenticated(self) -> bool:
        fake = self.server.fake
        expected = base64.b64encode(f"{fake.account_sid}:{fake.auth_token}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _create(self, form: Mapping[str, str], behaviour: Behaviour) -> None:
        fault = self.server.fake.fault_of(form) if behaviour.stored else None
        if fault is not None:
            return self._refuse(400, fault)
        text = self.server.fake.create(form, behaviour) if behaviour.stored else None
        self._play(behaviour, lambda: self._answer(201, text.resource() if text else {}))
        return None

    def _play(self, behaviour: Behaviour, answer: Callable[[], None]) -> None:
        """Answer, or do what was scripted instead of answering."""
        stopping = self.server.fake.stopping
        if behaviour.delay_seconds:
            stopping.wait(behaviour.delay_seconds)
        if behaviour.ending != "answer":
            if behaviour.ending == "hang":
                stopping.wait()
            self.close_connection = True
        elif behaviour.page is not None:
            self._write(behaviour.status, behaviour.page, {"Content-Type": "text/html", OFF_CONTRACT: "yes"})
        elif behaviour.code is not None:
            self._refuse_as_told(behaviour)
        else:
            answer()

    def _one(self, sid: str, form: Mapping[str, str]) -> None:
        text = self.server.fake.texts.find(sid)
        if text is None:
            return self._refuse(404, 20404)
        code = self.server.fake.update(text, form) if self.command == "POST" else None
        if code is not None:
            return self._refuse(400, code)
        return self._answer(200, text.resource())

    def _page(self, query: Mapping[str, str]) -> None:
        size, number = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
        listed = self.server.fake.texts.listed(query.get("To"))
        start = number * size
        shown = listed[start : start + size]
        self._answer(200, self._page_resource(query, shown, start=start, more=len(listed) > start + size))

    def _page_resource(
        self, query: Mapping[str, str], shown: list[Text], *, start: int, more: bool
    ) -> dict[str, object]:
        size, number = int(query.get("PageSize", "50")), int(query.get("Page", "0"))

        def uri(page: int) -> str:
            wanted = dict(query) | {"PageSize": str(size), "Page": str(page)}
            token = {"PageToken": f"PASM{page}"} if page else {}
            return f"{urlsplit(self.path).path}?{urlencode(wanted | token)}"

        return {
            "end": start + len(shown) - (1 if shown else 0),
            "first_page_uri": uri(0),
            "next_page_uri": uri(number + 1) if more else None,
            "page": number,
            "page_size": size,
            "previous_page_uri": uri(number - 1) if number else None,
            "start": start,
            "uri": uri(number),
            "messages": [text.resource() for text in shown],
        }

    # The door for people: `python -m tests.support.fake_twilio` prints how to use it

    def _control(self, order: Mapping[str, object]) -> None:
        fake, path = self.server.fake, urlsplit(self.path).path
        if path == "/fake/texts":
            return self._answer(200, [text.resource() for text in fake.texts.all()])
        if path == "/fake/next":
            made = getattr(behaviours, str(order["kind"]))
            fake.next(made(**{name: value for name, value in order.items() if name != "kind"}))
            return self._answer(200, {"scripted": order["kind"]})
        if path == "/fake/text-in":
            status, replies = fake.text_in(str(order["from"]), str(order["body"]))
            return self._answer(200, {"status": status, "replies": replies})
        if path == "/fake/move":
            fake.move(str(order["sid"]), *order["statuses"], error_code=order.get("error_code"))
            return self._answer(200, {"moved": order["sid"]})
        return self._answer(404, {"doors": ["/fake/texts", "/fake/next", "/fake/text-in", "/fake/move"]})

    # Writing

    def _refuse(self, status: int, code: int) -> None:
        self._refuse_as_told(behaviours.refuse(code, status=status))

    def _refuse_as_told(self, behaviour: Behaviour) -> None:
        code, info = behaviour.code, f"https://www.twilio.com/docs/errors/{behaviour.code}"
        payload: dict[str, object] = {"code": code, "status": behaviour.status}
        headers = {"Content-Type": "application/json"}
        if behaviour.retry_after is not None:
            headers["Retry-After"] = behaviour.retry_after
        # The real ones repeat the number in their words; ours do too, so that a leak into a log shows.
        words = "The 'To' number +13125550142 was refused by the fake"
        if behaviour.problem_json:
            payload |= {"type": info, "title": words, "detail": words}
            headers = {"Content-Type": "application/problem+json", OFF_CONTRACT: "yes"}
        else:
            payload |= {"message": words, "more_info": info}
        self._write(behaviour.status, json.dumps(payload), headers)

    def _answer(self, status: int, payload: object) -> None:
        self._write(status, json.dumps(payload), {"Content-Type": "application/json"})

    def _write(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
