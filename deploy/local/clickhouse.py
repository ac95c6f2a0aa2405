"""A real ClickHouse server from pip alone: the engine inside the wheel `chdb-core`, run by `clickhouse_launcher`."""

from __future__ import annotations

import hashlib
import http.client
import sys
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

from deploy.local.ports import LOOPBACK, is_free

DATABASE = "desireline"

CONFIGURATION = """\
<clickhouse>
  <listen_host>{host}</listen_host>
  <tcp_port>{native_port}</tcp_port>
  <http_port>{http_port}</http_port>
  <path>{data}</path>
  <users_config>{data}/etc/users.xml</users_config>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <logger><level>warning</level><console>1</console></logger>
  <interactive>1</interactive>
  <disable_suggestion>1</disable_suggestion>
  <history_file>/dev/null</history_file>
</clickhouse>
"""

USERS = """\
<clickhouse>
  <profiles><default/><engine><max_sessions_for_user>1</max_sessions_for_user></engine></profiles>
  <quotas><default/></quotas>
  <users>{users}</users>
</clickhouse>
"""

OPEN_USER = "<default><no_password/><networks><ip>127.0.0.1</ip></networks></default>"

# The engine's own session logs in as `default` without a password. Beside a user of one's own it is fenced off: it may
# have one session only, which the engine holds, so every login as `default` over the network is refused.
FENCED_USERS = """
    <default><no_password/><networks><ip>127.0.0.1</ip></networks><profile>engine</profile><quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT CREATE DATABASE ON {database}.*</query>
        <query>GRANT TABLE ENGINE ON Atomic</query></grants>
    </default>
    <{user}><password_sha256_hex>{sha256}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota></{user}>"""


@dataclass(frozen=True)
class ClickHouseServer:
    """One server: where its data is and where it listens (loopback only). The ports may change between starts.

    Without `user` anybody on this machine may log in as `default`; with it only that user, with its password.
    """

    data: Path
    http_port: int
    native_port: int
    user: str | None = None
    password: str = ""

    @property
    def url(self) -> str:
        """What goes into CLICKHOUSE_URL."""
        login = f"{quote(self.user)}:{quote(self.password, safe='')}" if self.user else "default"
        return f"http://{login}@{LOOPBACK}:{self.http_port}/{DATABASE}"

    def argv(self) -> list[str]:
        """The command that runs it in the foreground."""
        return [sys.executable, "-m", "deploy.local.clickhouse_launcher", str(self.data)]

    def write_configuration(self) -> None:
        """Put `config.xml` and `users.xml` into the data folder; more users and settings go beside them, in
        `users.d/` and `config.d/`."""
        folder = self.data / "etc"
        for drop_in in ("users.d", "config.d"):
            (folder / drop_in).mkdir(parents=True, exist_ok=True)
        for name, text in (("config.xml", self.configuration()), ("users.xml", self.users())):
            file = folder / name
            file.touch(mode=0o600)
            file.write_text(text)

    def configuration(self) -> str:
        return CONFIGURATION.format(
            host=LOOPBACK,
            http_port=self.http_port,
            native_port=self.native_port,
            data=escape(str(self.data.resolve())),
        )

    def users(self) -> str:
        if self.user is None:
            return USERS.format(users=OPEN_USER)
        digest = hashlib.sha256(self.password.encode()).hexdigest()
        return USERS.format(users=FENCED_USERS.format(database=DATABASE, user=self.user, sha256=digest))

    def query(self, sql: str, seconds: float = 5) -> str:
        """Ask over HTTP; the answer as tab-separated text. Raises OSError when it is down or refuses."""
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.http_port}/?database={DATABASE}&default_format=TabSeparated", data=sql.encode()
        )
        login = f"{self.user or 'default'}:{self.password}"
        request.add_header("Authorization", "Basic " + b64encode(login.encode()).decode())
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return str(answer.read().decode()).rstrip("\n")

    def ready(self) -> bool:
        """Does it answer a query in our database, and is the native port open?"""
        if is_free(self.http_port) or is_free(self.native_port):
            return False
        try:
            return self.query("SELECT 1", seconds=2) == "1"
        except (OSError, http.client.HTTPException):  # refused, reset, or not speaking HTTP yet
            return False
