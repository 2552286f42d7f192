"""The hub's HTTP side: two endpoints for devices, three pages for whoever runs it.

    POST /v1/sync, /v1/enrol   wire messages; everything that matters is signed inside the body
    GET  /healthz              this process answers
    GET  /readyz               and so does its database, with the schema this process knows
    GET  /metrics              Prometheus text; names no merchant

Bodies are read in bounds of size and time before anything looks at them; the work is done in threads, because
it is PostgreSQL's and the CPU's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from vafa.hub.answers import Clock, Refusing, Reply, refused
from vafa.hub.database import Database
from vafa.hub.enrol import Enrolling
from vafa.hub.hub_key import HubKey
from vafa.hub.metrics import Metrics
from vafa.hub.migrations import SCHEMA_VERSION, stored_version
from vafa.hub.sync import Sync
from vafa.model.errors import StoreUnavailable
from vafa.wire.limits import REQUEST_BYTES_MAX
from vafa.wire.messages import ENROL_PATH, SYNC_PATH, Reason

# 256 KiB at 64 kbit/s take 33 s; a link that needs longer sends fewer rows the next time.
BODY_S_MAX = 120
_MESSAGE = "application/vnd.vafa"


class SlowOrLarge(Exception):
    """A body that is not read to its end."""

    def __init__(self, why: Refusing) -> None:
        super().__init__(why.text)
        self.why = why


def application(database: Database, key: HubKey, clock: Clock) -> FastAPI:
    """The ASGI application. `clock` gives UTC milliseconds."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    metrics = Metrics()
    sync, enrolling = Sync(database, key, clock), Enrolling(database, key, clock)
    app.add_api_route(SYNC_PATH, _endpoint(SYNC_PATH, sync.answer, key, clock, metrics), methods=["POST"])
    app.add_api_route(
        ENROL_PATH, _endpoint(ENROL_PATH, enrolling.answer, key, clock, metrics), methods=["POST"]
    )

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz")
    def readyz() -> Response:
        try:
            with database.transaction() as connection:
                version = stored_version(connection)
        except StoreUnavailable as error:
            return Response(f"{error}\n", 503, media_type="text/plain")
        if version != SCHEMA_VERSION:
            text = f"the database has schema {version}, this process knows {SCHEMA_VERSION}: restart it\n"
            return Response(text, 503, media_type="text/plain")
        return Response("ready\n", media_type="text/plain")

    @app.get("/metrics")
    def metrics_page() -> Response:
        return Response(metrics.text(database, clock()), media_type="text/plain; version=0.0.4")

    return app


def _endpoint(
    path: str, answer: Callable[[bytes], Reply], key: HubKey, clock: Clock, metrics: Metrics
) -> Callable[[Request], Awaitable[Response]]:
    """One of the devices' endpoints: body in, signed answer out, counted."""

    async def endpoint(request: Request) -> Response:
        began = time.monotonic()
        body = b""
        try:
            body = await _body(request)
            reply = await run_in_threadpool(answer, body)
        except SlowOrLarge as end:
            reply = refused(path, key, None, b"", end.why, clock())
        except BaseException:  # ours, or the device hung up: counted, then answered with 500 and logged
            metrics.count(path, "crashed", time.monotonic() - began, len(body), 0)
            raise
        metrics.count(path, reply.outcome, time.monotonic() - began, len(body), len(reply.body))
        headers = {"Retry-After": str(reply.retry_s)} if reply.retry_s else None
        return Response(reply.body, reply.status, headers, media_type=_MESSAGE)

    return endpoint


async def _body(request: Request) -> bytes:
    """The request's body, at most REQUEST_BYTES_MAX of it and for at most BODY_S_MAX."""
    too_large = Refusing(Reason.TOO_LARGE, f"a request has at most {REQUEST_BYTES_MAX:,} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > REQUEST_BYTES_MAX:
        raise SlowOrLarge(too_large)
    taken = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for chunk in request.stream():
                taken += chunk
                if len(taken) > REQUEST_BYTES_MAX:
                    raise SlowOrLarge(too_large)
    except TimeoutError as error:
        raise SlowOrLarge(Refusing(Reason.MALFORMED, "the body did not come to its end")) from error
    return bytes(taken)
