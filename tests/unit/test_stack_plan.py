"""What the local stack decides before anything starts: ports, files, addresses."""

from __future__ import annotations

import stat
from collections import namedtuple
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.settings import parse_keys
from deploy.local import plan, ports
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer
from deploy.local.plan import CLICKHOUSE_PORTS, KAFKA_PORTS, PROCESS_PORTS, Wishes, choose_ports
from deploy.local.processes import Identity
from deploy.local.programs import programs
from deploy.local.settings import StackSettings
from deploy.local.state import ProcessState, StackState, load
from ingest.source import WriteKeys
from runtime.settings import PUBLIC_SECRET, ClickHouseSettings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "DESIRELINE_WRITE_KEYS", "DESIRELINE_READ_KEYS", "DESIRELINE_SECRET",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


ALL_PORTS = [*KAFKA_PORTS, *CLICKHOUSE_PORTS, *PROCESS_PORTS]
port_numbers = st.integers(1, 65535)


@given(
    given_ports=st.dictionaries(st.sampled_from(ALL_PORTS), port_numbers, max_size=2),
    before=st.dictionaries(st.sampled_from(ALL_PORTS), port_numbers),
    taken=st.sets(port_numbers, max_size=20),
)
def test_ports_are_the_given_ones_and_all_different(
    given_ports: dict[str, int], before: dict[str, int], taken: set[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ports, "is_free", lambda port: port not in taken)
        patch.setattr(ports, "holder", lambda port: None)
        distinct = len(set(given_ports.values())) == len(given_ports)
        if not distinct or taken & set(given_ports.values()):
            with pytest.raises(StackError, match="port"):
                choose_ports(ALL_PORTS, given_ports, before)
            return
        chosen = choose_ports(ALL_PORTS, given_ports, before)
    assert list(chosen.keys() ^ set(ALL_PORTS)) == []
    assert given_ports.items() <= chosen.items()
    assert len(set(chosen.values())) == len(ALL_PORTS)
    assert not taken & set(chosen.values())


def test_a_home_keeps_its_ports_while_they_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"kafka": 20_001, "collector": 20_002}
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert choose_ports(["kafka", "collector"], {}, before) == before
    monkeypatch.setattr(ports, "is_free", lambda port: port != 20_001)
    chosen = choose_ports(["kafka", "collector"], {}, before)
    assert chosen["collector"] == 20_002
    assert chosen["kafka"] != 20_001


def test_the_collector_has_its_usual_port_unless_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert choose_ports(["collector"], {}, {}) == {"collector": 8080}
    monkeypatch.setattr(ports, "is_free", lambda port: port != 8080)
    assert choose_ports(["collector"], {}, {})["collector"] in ports.RANGE


def test_a_full_disk_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1 << 40, 1 << 40, 300 << 20))
    with pytest.raises(StackError, match="300 MB left, and the stack needs 1024 MB"):
        plan.make(Wishes(), StackSettings(home=tmp_path), {})


def test_servers_that_the_user_has_are_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("CLICKHOUSE_URL", "https://me:secret@warehouse:8443/desireline")
    made = plan.make(Wishes(), StackSettings(home=tmp_path), {})
    assert (made.kafka, made.clickhouse) == (None, None)
    assert made.environment["KAFKA_BOOTSTRAP"] == "broker:9092"
    assert made.environment["CLICKHOUSE_URL"] == "https://me:secret@warehouse:8443/desireline"
    assert {program.name for program in programs(made)} == {
        "topics",
        "migrations",
        "collector",
        "dashboard",
        "worker",
        "sink",
        "alerts",
    }


def test_a_home_makes_up_write_keys_once_and_the_collector_can_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan.make(Wishes(), StackSettings(home=tmp_path), {})
    keys = made.environment["DESIRELINE_WRITE_KEYS"]
    assert plan.make(Wishes(), StackSettings(home=tmp_path), {}).environment["DESIRELINE_WRITE_KEYS"] == keys
    assert stat.S_IMODE((tmp_path / "write_keys").stat().st_mode) == 0o600
    source = WriteKeys.parse(keys).source(keys.split(",")[0].partition("=")[2])
    assert source is not None
    assert source.name == "web"
    monkeypatch.setenv("DESIRELINE_WRITE_KEYS", "till=0f3c9a7e5d21")
    given_keys = plan.make(Wishes(), StackSettings(home=tmp_path), {}).environment["DESIRELINE_WRITE_KEYS"]
    assert given_keys == "till=0f3c9a7e5d21"


def test_its_read_keys_are_others_and_the_dashboard_can_read_them(tmp_path: Path) -> None:
    made = plan.make(Wishes(), StackSettings(home=tmp_path), {})
    keys = made.environment["DESIRELINE_READ_KEYS"]
    assert parse_keys(keys).owner(keys.partition("=")[2]) == "service"
    assert keys.partition("=")[2] not in made.environment["DESIRELINE_WRITE_KEYS"]
    assert stat.S_IMODE((tmp_path / "read_keys").stat().st_mode) == 0o600


def test_a_home_makes_up_a_secret_once_and_one_of_a_release_before_keeps_the_public_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def secret(home: Path) -> str:
        return plan.make(Wishes(), StackSettings(home=home), {}).environment["DESIRELINE_SECRET"]

    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    made = secret(new)
    assert len(made) > 40
    assert stat.S_IMODE((new / "secret").stat().st_mode) == 0o600
    (new / "logs").mkdir()
    assert secret(new) == made, "it is the life of the data"
    (old / "logs").mkdir(parents=True)
    assert secret(old) == PUBLIC_SECRET, "with another one everybody there would get another id"
    monkeypatch.setenv("DESIRELINE_SECRET", "my own")
    assert secret(new) == "my own"


def test_other_commands_learn_which_files_a_stack_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIRELINE_DEFINITIONS", "journeys.yaml")
    environment = plan.make(Wishes(), StackSettings(home=tmp_path), {}).environment
    assert environment["DESIRELINE_DEFINITIONS"] == str(tmp_path / "journeys.yaml")
    assert "DESIRELINE_IDENTITY" not in environment


def test_every_program_waits_only_for_programs_before_it(tmp_path: Path) -> None:
    before: set[str] = set()
    for program in programs(plan.make(Wishes(), StackSettings(home=tmp_path), {})):
        assert before.issuperset(program.needs)
        before.add(program.name)
    assert before == {
        "kafka",
        "clickhouse",
        "topics",
        "migrations",
        "collector",
        "dashboard",
        "worker",
        "sink",
        "alerts",
    }


def test_a_plan_survives_the_way_to_the_supervisor(tmp_path: Path) -> None:
    made = plan.make(Wishes(only="servers"), StackSettings(home=tmp_path), {})
    assert plan.Plan.model_validate_json(made.model_dump_json()) == made
    assert {program.name for program in programs(made)} == {"kafka", "clickhouse"}


def test_kafka_listens_on_loopback_and_creates_no_topics_by_itself(tmp_path: Path) -> None:
    lines = KafkaServer(tmp_path, 20_001, 20_002).properties().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["log.dirs"] == f"{tmp_path}/log"
    assert len(properties) == len(lines), "a property is given twice"


@given(password=st.text(min_size=1))
def test_clickhouse_configuration_is_xml_and_holds_no_plain_password(password: str) -> None:
    server = ClickHouseServer(Path("/data/R&D <1>"), 20_001, 20_002, "analyst", password)
    configuration = ElementTree.fromstring(server.configuration())
    assert configuration.findtext("listen_host") == "127.0.0.1"
    assert configuration.findtext("path") == "/data/R&D <1>"
    users = ElementTree.fromstring(server.users()).find("users")
    assert users is not None
    assert [user.tag for user in users] == ["default", "analyst"]
    assert len(users.findtext("analyst/password_sha256_hex") or "") == 64
    assert users.find("analyst/no_password") is None


@given(password=st.text(st.characters(codec="utf-8")))
def test_the_url_of_clickhouse_gives_back_user_and_password(password: str) -> None:
    server = ClickHouseServer(Path("/data"), 20_001, 20_002, "analyst", password)
    settings = ClickHouseSettings(url=server.url)
    assert (settings.user, settings.password, settings.http_port, settings.database) == (
        *("analyst", password, 20_001),
        "desireline",
    )


def test_the_state_file_is_private_and_comes_back(tmp_path: Path) -> None:
    written = StackState(
        supervisor=Identity(pid=7, started=1.5),
        ports={"kafka": 20_001},
        environment={"KAFKA_BOOTSTRAP": "127.0.0.1:20001"},
        processes=[ProcessState(name="kafka", status="failing", problem="ended with exit code 1")],
    )
    written.save(tmp_path)
    assert load(tmp_path) == written
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600
    assert [process.name for process in written.failing] == ["kafka"]
    assert not written.settled


def test_a_state_file_that_cannot_be_read_is_no_state(tmp_path: Path) -> None:
    assert load(tmp_path) == StackState()
    (tmp_path / "stack.json").write_text('{"processes": 7}')
    assert load(tmp_path) == StackState()
