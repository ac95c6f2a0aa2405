"""A client of the collector that behaves as a good SDK does: it keeps what was not acknowledged and sends it again."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

import msgspec

PATIENCE_SECONDS = 240.0
ANSWER_SECONDS = 30.0


class Refused(AssertionError):
    """The collector answered something that a resend cannot cure."""


class Sender:
    """Sends batches of touchpoints in the background, at most `rate` touchpoints a second, over several connections.

    A batch is sent until it is answered with 200; `answers` counts what happened: HTTP statuses and `lost connection`.
    What the collector rejects inside a 200 ends in `rejected`. Errors are raised by `wait`.
    """

    def __init__(
        self,
        url: str,
        write_key: str,
        batches: Iterable[Sequence[object]],
        *,
        rate: float | None = None,
        connections: int = 4,
    ) -> None:
        self._url = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {write_key}", "Content-Type": "application/json"}
        self._batches = iter(batches)
        self.rate = rate  # may be changed while it sends
        self._queue: queue.Queue[Sequence[object] | None] = queue.Queue(maxsize=connections)
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._feed, daemon=True)]
        self._threads += [threading.Thread(target=self._guarded, daemon=True) for _ in range(connections)]
        self._connections = connections
        self._errors: list[BaseException] = []
        self.answers: Counter[str] = Counter()
        self.rejected: list[object] = []
        self.acknowledged = 0
        self.in_flight = 0

    def start(self) -> Sender:
        for thread in self._threads:
            thread.start()
        return self

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def wait(self, seconds: float) -> None:
        """Until everything is acknowledged. Raises what went wrong, or TimeoutError."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        if self.running:
            raise TimeoutError(f"only {self.acknowledged} touchpoints were acknowledged after {seconds:.0f} s")

    def _feed(self) -> None:
        due = time.monotonic()
        for batch in self._batches:
            self._queue.put(batch)
            due = max(due, time.monotonic() - 1.0)  # what was held up is not made good in one burst
            while (rate := self.rate) is not None and (wait := due + len(batch) / rate - time.monotonic()) > 0:
                time.sleep(min(wait, 0.1))
            due += len(batch) / (rate or 1e9)
        for _ in range(self._connections):
            self._queue.put(None)

    def _guarded(self) -> None:
        try:
            for batch in iter(self._queue.get, None):
                self._send(batch)
        except BaseException as error:  # noqa: BLE001 - raised by `wait`, in the test's own thread
            self._errors.append(error)
            for _ in iter(self._queue.get, None):  # let the feeder finish
                pass

    def _send(self, batch: Sequence[object]) -> None:
        body = msgspec.json.encode(batch)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            with self._lock:
                self.in_flight += 1
            try:
                status, retry_after, content = self._request(body)
            except (OSError, http.client.HTTPException):
                status, retry_after, content = None, 0.2, b""
            finally:
                with self._lock:
                    self.in_flight -= 1
            with self._lock:
                self.answers[str(status or "lost connection")] += 1
            if status == 200:
                with self._lock:
                    self.acknowledged += len(batch)
                    self.rejected += json.loads(content)["rejected"]
                return
            if status not in (None, 429, 503):
                raise Refused(f"{status}: {content[:1000]!r}")
            if time.monotonic() > give_up:
                raise TimeoutError(f"no 200 for {PATIENCE_SECONDS:.0f} s, the last answer was {status}")
            time.sleep(min(retry_after, 1.0))

    def _request(self, body: bytes) -> tuple[int, float, bytes]:
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", self._url.path, body, self._headers)
            answer = connection.getresponse()
            return answer.status, float(answer.getheader("Retry-After") or 0.2), answer.read()
        finally:
            connection.close()


def batches(touchpoints: Iterable[object], size: int) -> Iterator[list[object]]:
    """Lists of `size`, the last one shorter."""
    batch: list[object] = []
    for touchpoint in touchpoints:
        batch.append(touchpoint)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
