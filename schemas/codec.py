"""The fast decoders and encoders: msgspec structs generated from the pydantic models, so that there is one definition.

A generated struct accepts a subset of what its model accepts, with equal results: it checks types, sizes, patterns and
unknown fields, not what a model's validators check across fields. Who decodes untrusted input runs those through the
model whenever `needs_model` says so or the struct refuses; who reads our own topics needs the struct alone.
"""

from __future__ import annotations

import types
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import annotated_types
import msgspec
from pydantic import AwareDatetime, BaseModel, JsonValue, StringConstraints
from pydantic.fields import FieldInfo

from schemas.touchpoint import StoredTouchpoint, Touchpoint


def _meta(constraints: list[Any]) -> dict[str, Any]:
    """The constraints that msgspec can check too."""
    meta: dict[str, Any] = {}
    for constraint in constraints:
        match constraint:
            case StringConstraints():
                meta |= {
                    "min_length": constraint.min_length,
                    "max_length": constraint.max_length,
                    "pattern": constraint.pattern,
                }
            case annotated_types.MinLen():
                meta["min_length"] = constraint.min_length
            case annotated_types.MaxLen():
                meta["max_length"] = constraint.max_length
            case annotated_types.Ge() if isinstance(constraint.ge, int):
                meta["ge"] = constraint.ge
            case annotated_types.Le() if isinstance(constraint.le, int):
                meta["le"] = constraint.le
            case FieldInfo():
                meta |= _meta(constraint.metadata)
    return {name: value for name, value in meta.items() if value is not None}


def _type(annotation: Any, constraints: list[Any] | None = None) -> Any:
    """The msgspec type of a pydantic annotation."""
    if annotation is JsonValue or annotation is Any:
        return Any
    origin = get_origin(annotation)
    if annotation is AwareDatetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        return _type(inner, [*extra, *(constraints or [])])
    if origin in (Union, types.UnionType):
        parts = get_args(annotation)  # of `int | None` the constraints are the number's
        return Union[tuple(_type(part, None if part is type(None) else constraints) for part in parts)]  # noqa: UP007
    if origin is dict:
        key, value = get_args(annotation)
        annotation = dict[_type(key), _type(value)]  # type: ignore[misc]
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return struct_of(annotation)
    elif origin is not Literal and annotation not in (str, int, float, bool, datetime, UUID, type(None)):
        raise TypeError(f"no msgspec type for {annotation!r}")
    if annotation is datetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    meta = _meta(constraints or [])
    return Annotated[annotation, msgspec.Meta(**meta)] if meta else annotation


@cache
def struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The msgspec struct of a pydantic model: same names, defaults and constraints; unknown fields are refused."""
    required, optional = [], []
    for name, field in model.model_fields.items():
        kind = _type(field.annotation, field.metadata)
        if field.is_required():
            required.append((name, kind))
        else:
            factory: Any = field.default_factory
            optional.append((name, kind, msgspec.field(default_factory=factory) if factory else field.default))
    return msgspec.defstruct(
        model.__name__,
        [*required, *optional],
        module=__name__,
        kw_only=True,
        forbid_unknown_fields=model.model_config.get("extra") == "forbid",
        omit_defaults=True,
        gc=False,
    )


TouchpointStruct: Any = struct_of(Touchpoint)
StoredStruct: Any = struct_of(StoredTouchpoint)
# Readers of our own topics ignore fields that a later release added (DESIGN §3, change).
StoredReader: Any = msgspec.defstruct("StoredReader", [], bases=(StoredStruct,), forbid_unknown_fields=False, gc=False)

encode = msgspec.json.Encoder().encode
encode_sorted = msgspec.json.Encoder(order="deterministic").encode
decode_stored = msgspec.json.Decoder(StoredReader)


def content_of(sent: Any) -> str:
    """The hash by which a resend is told from other content: of a TouchpointStruct without `sent_at`, its time in ms."""
    return blake2b(encode_sorted(sent), digest_size=16).hexdigest()
