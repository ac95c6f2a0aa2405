"""Sends simulated touchpoints to a collector, as any customer's server would."""

from __future__ import annotations

import msgspec
import urllib3

from ingest.simulator.outputs import Batches, OutputError

_RETRY = frozenset((408, 429, 500, 502, 503, 504))


class HttpOutput(Batches):
    """A collector's `POST /v1/touchpoints`, in batches. A resend is harmless: every touchpoint has its id."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self._url = url.rstrip("/") + ("" if "/v1/" in url else "/v1/touchpoints")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=60))

    def hand_over(self, batch: list[bytes]) -> float | None:
        try:
            answer = self._pool.request("POST", self._url, body=b"\n".join(batch), headers=self._headers)
        except urllib3.exceptions.LocationValueError as error:
            raise OutputError(f"{self._url} is not an address: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            self.problem = f"no answer from {self._url}: {error}"
            return 0.0
        if answer.status in _RETRY:
            self.problem = f"{self._url} answered {answer.status}"
            after = answer.headers.get("Retry-After", "")
            return float(after) if after.isdigit() else 0.0
        if answer.status not in (200, 400):
            raise OutputError(f"{self._url} answered {answer.status}: {answer.data[:300].decode(errors='replace')}")
        self.rejected += _rejected(answer.data)
        return None

    def close(self) -> None:
        self._pool.clear()


def _rejected(answer: bytes) -> int:
    """How many items the collector says that it refused."""
    try:
        return len(msgspec.json.decode(answer)["rejected"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise OutputError(f"this is not a collector's answer: {answer[:300].decode(errors='replace')}") from error
