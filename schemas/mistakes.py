"""What is wrong with a file of journey definitions, for whoever wrote it: a sentence each, with line, key and remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic_core import ErrorDetails, PydanticCustomError

from schemas.located import Located, Place

Found = list[tuple[Place, str]]  # where, seen from the part that is wrong, and what

# By kind of part: the keys that it may have, in the order in which one writes them; an example for those that it must have.
KEYS: dict[str, dict[str, str]] = {
    "file": {"definitions": "definitions:"},
    "journey": {
        "name": "name: purchase",
        "version": "",
        "start": "",
        "goal": "",
        "ends_after": "",
        "stages": "stages:",
    },
    "stage": {"name": "name: research", "patience": "patience: 3d", "match": "match: [{name: search}]"},
    "rule": {"channel": "", "name": "", "properties": ""},
}
_KIND_OF_ITEM = {"definitions": "journey", "stages": "stage", "match": "rule", "start": "rule"}
_EMPTY = {
    "definitions": "it names at least one journey",
    "stages": "a journey has at least one stage",
    "match": "a stage has at least one rule, for example match: [{name: search}]",
}
_TEXT = "is not text: put it in quotes"


def several(found: Found) -> PydanticCustomError:
    """For a validator that finds more than one mistake, each somewhere in the part that it validates."""
    return PydanticCustomError("mistakes", "{what}", {"what": "; ".join(what for _, what in found), "found": found})


def not_yaml(error: yaml.YAMLError) -> str:
    """`:line: what YAML does not understand`, to follow the file's name."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    hint = (
        ": indent with spaces, not tabs"
        if "\\t" in problem
        else ": look at indentation, colons, brackets and quotes here"
    )
    return f":{mark.line + 1}: is not YAML: {problem}{hint}" if mark else f": is not YAML: {problem}"


def told(file: str, located: Located, errors: Sequence[ErrorDetails]) -> list[str]:
    """`file:line: key: what is wrong; what to do`, in the order of the file."""
    places = [tuple(error["loc"]) for error in errors]
    found = [
        (located.line(place), place, what)
        for error in errors
        if not (error["type"] == "too_short" and any(_below(place, tuple(error["loc"])) for place in places))
        for place, what in _expanded(error)
    ]
    for place, first, line in located.doubles():
        found.append(
            (line, place, f"stands twice, first in line {first}, and only the last would count: take one away")
        )
    found.sort(key=lambda one: one[0])
    return [f"{file}:{line}: {_path(place, located.content)}{what}" for line, place, what in found]


def _below(place: Place, above: Place) -> bool:
    """A list with a bad item is not empty, though nothing is left of it."""
    return len(place) > len(above) and place[: len(above)] == above


def _expanded(error: ErrorDetails) -> Iterator[tuple[Place, str]]:
    place = tuple(error["loc"])
    if error["type"] == "mistakes":
        for inner, what in error["ctx"]["found"]:
            yield (*place, *inner), what
    else:
        yield place, _said(error, place)


def _said(error: ErrorDetails, place: Place) -> str:
    key = next((part for part in reversed(place) if isinstance(part, str)), "")
    given, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing" if key == "definitions":
            return "is missing: the file begins with `definitions:`, and lists the journeys below it"
        case "missing":
            return f"is missing: add for example `{KEYS[_kind(place[:-1])].get(key, '')}`"
        case "extra_forbidden":
            known = KEYS[_kind(place[:-1])]
            close = get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            return f"is not a key of a {_kind(place[:-1])}: {hint}It knows {', '.join(known)}"
        case "too_short" if key in _EMPTY:
            return f"is empty: {_EMPTY[key]}"
        case "too_long":
            return f"has {context.get('actual_length')} items, and at most {context.get('max_length')} are possible"
        case "string_too_short":
            return "is empty: give it a name"
        case "string_too_long":
            return f"is longer than {context.get('max_length')} characters: shorten it"
        case "string_pattern_mismatch":
            return f"{given!r} has other than small letters, digits and _, or does not begin with a letter"
        case "string_type" if isinstance(given, bool):
            return f"{given!r} {_TEXT}, for YAML reads on, off, yes and no as truth"
        case "string_type":
            return f"{given!r} {_TEXT}"
        case "tuple_type":
            return "is not a list: write each item below it, with a - before it"
        case "model_type" | "dict_type" | "model_attributes_type" if not place:
            return "is no file of journeys: it begins with `definitions:`, and lists the journeys below it"
        case "model_type" | "dict_type" | "model_attributes_type":
            kind = _kind(place)
            keys = ", ".join(name for name in KEYS[kind]) if key != "properties" else "key: value"
            return f"is not a {kind}: it is written as {keys}"
        case "int_parsing" | "int_type" | "greater_than_equal" | "int_from_float":
            return f"{given!r} is not a whole number of 1 or more"
        case "greater_than":
            return f"{given!r} is no time: it must be above 0"
    return str(error["msg"]).removeprefix("Value error, ")


def _kind(place: Place) -> str:
    """What kind of part stands there."""
    lists = [part for part in place if isinstance(part, str)]
    return _KIND_OF_ITEM.get(lists[-1], "rule") if lists else "file"


def _path(place: Place, content: Any) -> str:
    """`purchase.research.patience: `: journeys and stages by their names, what has none by its number, from 1."""
    text, before = "", ""
    for part in place:
        content = _inside(content, part)
        if isinstance(part, str):
            before = part
            shown = "" if part in ("definitions", "stages") and part is not place[-1] else f".{part}"
        else:
            name = content.get("name") if isinstance(content, dict) and before in ("definitions", "stages") else None
            unnamed = f".{before}" * (before in ("definitions", "stages")) + f"[{part + 1}]"
            shown = f".{name}" if isinstance(name, str) else unnamed
        text += shown
    return f"{text.removeprefix('.')}: " if text else ""


def _inside(content: Any, part: int | str) -> Any:
    if isinstance(content, dict):
        return content.get(part)
    return content[part] if isinstance(content, list) and isinstance(part, int) and part < len(content) else None
