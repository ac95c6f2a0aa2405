"""The OpenAPI document of the collector, from the same model that validates."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, get_args

from ingest.rejected import NOT_KEPT
from ingest.settings import CollectorSettings
from schemas.dead_letter import Reason
from schemas.touchpoint import Touchpoint


def document(settings: CollectorSettings) -> dict[str, Any]:
    """OpenAPI 3.1 of POST /v1/touchpoints with this collector's limits."""
    touchpoint = Touchpoint.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = touchpoint.pop("$defs")
    one = {"$ref": "#/components/schemas/Touchpoint"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "desireline collector", "version": version("desireline")},
        "security": [{"bearer": []}, {"basic": []}, {"key": []}],
        "paths": {
            "/v1/touchpoints": {
                "post": {
                    "operationId": "sendTouchpoints",
                    "summary": "Send touchpoints; answered after they are safe.",
                    "description": (
                        f"One object, an array, or one object a line; gzip is welcome. At most {settings.max_items} "
                        f"touchpoints and {settings.max_body_bytes} bytes, unpacked. Fields that are not named here are "
                        "kept in `properties`. Sending the same again is harmless."
                    ),
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": {"oneOf": [one, {"type": "array", "items": one}]}},
                            "application/x-ndjson": {"schema": one},
                        },
                    },
                    "responses": _responses(),
                }
            }
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The source's write key."},
                "basic": {"type": "http", "scheme": "basic", "description": "The write key as user, no password."},
                "key": {"type": "apiKey", "in": "query", "name": "key", "description": "The source's write key."},
            },
            "schemas": {"Touchpoint": touchpoint, **parts, "Result": _RESULT, "Error": _ERROR},
        },
    }


_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "rejected"],
    "properties": {
        "accepted": {"type": "integer", "description": "Touchpoints that are safe now, duplicates included."},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "reason", "path", "message"],
                "properties": {
                    "index": {"type": "integer", "description": "Place in the request, from 0."},
                    "reason": {"enum": [*get_args(Reason), *NOT_KEPT]},
                    "path": {"type": "string", "description": "Place in the touchpoint, for example feedback.score."},
                    "message": {"type": "string", "description": "What is wrong and how to fix it."},
                },
            },
        },
    },
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
}


def _responses() -> dict[str, Any]:
    def holding(schema: str, description: str) -> dict[str, Any]:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        return {"description": description, "content": content}

    not_kept = " and ".join(NOT_KEPT)
    later = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return {
        "200": holding("Result", f"At least one was accepted. The others are in the dead letters, but for {not_kept}."),
        "400": holding("Result", "None was accepted (Result), or the body could not be unpacked or is empty (Error)."),
        "401": holding("Error", "No write key, or nobody's."),
        "408": holding("Error", "The body came too slowly."),
        "413": holding("Error", "Too many bytes or touchpoints."),
        "415": holding("Error", "Not JSON, or a compression other than gzip."),
        "429": holding("Error", "Too much is in flight: send the same again later.") | {"headers": later},
        "503": holding("Error", "Kafka is away: send the same again later.") | {"headers": later},
    }
