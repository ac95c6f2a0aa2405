"""Every private member that `runtime/chunked/privates.py` uses: there, and what we take it for. Run it on each upgrade."""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import version
from pathlib import Path

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver

from runtime import chunked
from runtime.chunked.privates import PRIVATE

CLASSES: dict[str, type] = {
    "App": faust.App,
    "Consumer": driver.Consumer,
    "ConsumerThread": driver.AIOKafkaConsumerThread,
    "AIOKafkaConsumer": aiokafka.AIOKafkaConsumer,
    "BatchBuilder": BatchBuilder,
    "FetchResult": FetchResult,
    "Fetcher": Fetcher,
    "PartitionRecords": PartitionRecords,
    "SubscriptionState": SubscriptionState,
    "TopicPartitionState": TopicPartitionState,
}
FOLDER = Path(chunked.__file__ or "").parent


def used_privates(file: Path) -> set[str]:
    """Names beginning with one underscore that a file reaches, sets or overrides."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    reached = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    overridden = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in reached | overridden if name.startswith("_") and not name.startswith("__")}


def test_the_pins_are_exact() -> None:
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


@pytest.mark.parametrize("name", sorted(PRIVATE))
def test_it_is_still_there(name: str) -> None:
    owner, _, member = name.partition(".")
    cls, kind = CLASSES[owner], PRIVATE[name]
    if kind == "attribute":
        sources = [inspect.getsource(base) for base in cls.__mro__ if base is not object]
        assert any(f"self.{member}" in source or f"\n    {member}:" in source for source in sources), name
    else:
        found = inspect.getattr_static(cls, member)
        parameters = "property" if isinstance(found, property) else ", ".join(inspect.signature(found).parameters)
        assert parameters == kind


def test_coroutines_are_coroutines() -> None:
    for cls, member in [
        (driver.AIOKafkaConsumerThread, "_fetch_records"),
        (driver.AIOKafkaConsumerThread, "call_thread"),
        (faust_consumer.ThreadDelegateConsumer, "_getmany"),
        (Fetcher, "_proc_fetch_request"),
        (Fetcher, "fetched_records"),
    ]:
        assert inspect.iscoroutinefunction(getattr(cls, member)), member


def test_nothing_private_is_used_that_is_not_listed() -> None:
    listed = {name.partition(".")[2] for name in PRIVATE}
    own = {"_turns", "_reads", "_ends", "_ahead", "_attend", "_advance", "_message", "_as_it_is"}
    assert used_privates(FOLDER / "privates.py") - own == {name for name in listed if name.startswith("_")}


def test_no_other_file_touches_their_private_members() -> None:
    for file in FOLDER.glob("*.py"):
        if file.name == "privates.py":
            continue
        tree = ast.parse(file.read_text())
        foreign = [
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and not (isinstance(node.value, ast.Name) and node.value.id == "self")
        ]
        assert foreign in ([], ["_exit"]), f"{file.name}: {foreign}"
