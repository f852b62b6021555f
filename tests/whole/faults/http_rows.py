"""What goes wrong on the way to acestep-api and back: over real HTTP, by the real client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from doubles.fake_http import Reply, Request, text
from whole.faults.levers import Inject, every, fake, last, once, server, server_down, together
from whole.faults.table import Fault
from whole.harness import Programme

AREA: Final = "network"
ENDLESS: Final = 5 * 2**20
PAGE: Final = text(200, "<!doctype html><title>Router login</title>", "text/html")
GATEWAY: Final = text(502, "<html><h1>502 Bad Gateway</h1></html>", "text/html")
ELSEWHERE: Final = Reply(302, b"", headers={"Location": "http://127.0.0.1:9/"})
WRAPPED: Final = text(200, '{"data": null, "code": 500, "error": "CUDA out of memory"}', "application/json")
HUGE: Final = text(200, '{"data": "' + "x" * ENDLESS + '"}', "application/json")
NO_JSON: Final = text(200, '{"data": [', "application/json")


def answers(reply: Reply, route: str = "", count: int = 10_000) -> Inject:
    """Let the server answer so, and in the end as it should again."""
    return _fault(lambda programme: fake(programme).answer_next(reply, count, route))


def drops(route: str = "", count: int = 10_000, *, after: bool = False) -> Inject:
    """Break connections instead of answering."""
    return _fault(lambda programme: fake(programme).drop_next(count, route, after=after))


def halves(route: str, count: int) -> Inject:
    """Break off answers in the middle."""
    return _fault(lambda programme: fake(programme).truncate_next(count, route))


def stalls(route: str, count: int) -> Inject:
    """Take requests, and never answer."""
    return _fault(lambda programme: fake(programme).stall_next(count, route))


def _fault(begin: Any) -> Inject:
    @contextmanager
    def inject(programme: Programme) -> Iterator[None]:
        begin(programme)
        yield
        fake(programme).clear_faults()

    return inject


def shapes(data: Any, route: str) -> Inject:
    """Let well-formed answers hold what makes no sense."""

    def rewritten(request: Request, good: Any) -> Any:
        return data if request.route == route else good

    return server(reply_filter=rewritten)


def foreign_links(request: Request, good: Any) -> Any:
    """Let results point to another machine."""
    if request.route == "/query_result":
        return [row | {"result": row["result"].replace("/v1/audio", "http://192.0.2.1/v1/audio")} for row in good]
    return good


def replaced(programme: Programme) -> None:
    """Stop the server, and start another in its place."""
    fake(programme).kill()
    programme.later(60.0, fake(programme).start)


@contextmanager
def proxy(_programme: Programme) -> Iterator[None]:
    """Name a proxy that is not there."""
    with patch.dict("os.environ", {"http_proxy": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"}):
        yield


# fmt: off
ROWS = (
    Fault(AREA, "connection refused for 2 minutes, jobs lost", server_down, "server.down", 120.0, http=True),
    Fault(AREA, "every answer is another program's web page", answers(PAGE), "server.wrong", http=True),
    Fault(AREA, "a proxy in between says 502, in HTML", answers(GATEWAY), "server.unwell", http=True),
    Fault(AREA, "redirected to another address", answers(ELSEWHERE), "server.refused", http=True),
    Fault(AREA, "an error inside an HTTP 200", answers(WRAPPED, "/release_task"), "server.unwell", http=True),
    Fault(AREA, "an answer that never ends", answers(HUGE, "/query_result", 10), "", http=True),
    Fault(AREA, "JSON that breaks off", answers(NO_JSON), "server.wrong", http=True),
    Fault(AREA, "polls answered with rows of other jobs", shapes([{"task_id": 7, "status": "x"}], "/query_result"),
          "job.lost", http=True, loses=True),
    Fault(AREA, "polls answered with null", shapes(None, "/query_result"), "server.wrong", http=True),
    Fault(AREA, "submits answered without a task id", shapes({}, "/release_task"), "server.unwell", http=True),
    Fault(AREA, "results that point to another machine, until another server comes",
          together(server(reply_filter=foreign_links), last(replaced)), "server.wrong", http=True, loses=True),
    Fault(AREA, "every connection dropped before the answer", drops(), "server.unwell", http=True),
    Fault(AREA, "submits arrive, their answers do not", drops("/release_task", 3, after=True), "server.unwell",
          http=True),
    Fault(AREA, "ten polls in a row are dropped", drops("/query_result", 10), "server.unwell", http=True),
    Fault(AREA, "polls are taken and never answered", stalls("/query_result", 3), "", http=True),
    Fault(AREA, "submits are taken and never answered", stalls("/release_task", 2), "", http=True),
    Fault(AREA, "downloads break off in the middle", halves("/v1/audio", 8), "server.unwell", http=True),
    Fault(AREA, "files vanished before the download (404)", once(lambda programme: fake(programme).plan("vanished")),
          "segment.rejected", http=True),
    Fault(AREA, "one request in five fails, health included", server(error_rate=0.2), "", 200.0, http=True),
    Fault(AREA, "the server forgets all jobs without a restart",
          every(30.0, lambda programme: fake(programme).lose_jobs()), "job.lost", http=True),
    Fault(AREA, "two workers at the server, newest job first", server(newest_first=True), "", 120.0, http=True,
          server={"workers": 2}),
    Fault(AREA, "a dead proxy in the environment", proxy, "", http=True),
    Fault(AREA, "key refused, then the network is gone too",
          together(server(api_key="changed"), once(lambda programme: programme.later(20.0, fake(programme).stop)),
                   once(lambda programme: programme.later(60.0, fake(programme).start))),
          "server.key_refused", 90.0, http=True),
)
# fmt: on
