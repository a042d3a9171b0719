"""Builds the OpenAPI 3.1 document from the routes, their handlers' docstrings and annotations, and `operations`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from aiohttp import web
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema
from marshmallow import fields as marshmallow_fields

from api import problems
from api.answers import Json, Page
from api.documentation.operations import JSON, OPERATIONS, Operation
from api.endpoint import ANONYMOUS, Route
from api.problems import Problem
from api.repeats import KEY
from api.schemas.answers import common as answers
from api.schemas.derived import answer_schema, input_schema, page_schema
from api.schemas.fields import Flag, Id, IdOrZero
from shared.access.policy import Action, needs_login
from shared.domain.ids import MAX_ID
from shared.domain.pictures import MESSAGE_PICTURES, PICTURES
from shared.domain.repeats import MAX_KEY_LENGTH
from shared.domain.uploads import PARTIAL
from shared.health import HealthState

_PROBLEM_JSON = "application/problem+json"
_PARAMETER = re.compile(r"\{(\w+)\}")
_NOTHING_MORE = Operation()
_NO_DATABASE = frozenset({"/health/live", "/metrics", "/api/openapi.json", "/api/docs"})

# An id in a path is text of digits. In JSON it may be a number or a string.
_PATH_ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID, "format": "int64"}
_PATH_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_TEXTS = frozenset({"session_id"})
"""The parameters of paths that are no such id."""
_ANY_ID = {"anyOf": [_PATH_ID, {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}]}

_KEY = {
    "in": "header",
    "name": KEY,
    "description": "A new one for each thing that is to be made, such as a UUID. A repeat of the request makes nothing,"
    " and gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}

_VERSION = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag of the version that the change is for: if there is another one now, nothing is changed.",
    "schema": {"type": "string"},
}

_DESCRIPTION = """\
Used cars: listings with pictures and replies, private messages, moderation.

- JSON has snake_case names; ids are integers, times are RFC 3339 in UTC. A client may also send an id as a string.
- Lists are pages: `data`, and `next_cursor` for the next one, null on the last.
- Errors are RFC 9457 problems; their `type` tells them apart.
- `Authorization: Bearer ACCESS_TOKEN`, with the access token that a log-in returns.
- Unknown fields and query parameters are refused with 422.
- A request with an `Idempotency-Key` can be repeated for a day, if its answer was lost: it makes one thing and has one
  answer, which then has `Idempotent-Replayed: true`.
"""
_SOCKET = """
What happens comes over a socket that speaks the Phoenix channels protocol, versions 1 and 2:

- The address is `wss://HOSTNAME/socket/websocket?vsn=2.0.0&token=ACCESS_TOKEN`; where no WebSocket gets through, `/socket/longpoll`
  with the same parameters. A frame is `[join_ref, ref, topic, event, payload]`.
- Topics: `private_chat:{your id}` for messages, `listing:{id}` for a listing, `alerts:{your id}` for alerts,
  and `moderation` for moderators.
- `docs/clients.md` of the source has the whole contract: events, answers, close codes, and how nothing is lost.
"""  # noqa: E501


def build_document(
    routes: Iterable[Route], *, picture_bytes: int, currency: str = "USD", distance_unit: str = "mi"
) -> dict[str, Any]:
    """Returns the document as a value for JSON. It has every route."""
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    unit = {"mi": "miles", "km": "kilometres"}[distance_unit]
    money = f"- Prices are in {currency} (ISO 4217), mileages in {unit}; settings of the site say so.\n"
    description = _DESCRIPTION + money + _SOCKET
    spec = APISpec(
        title="Daveslist", version="1", openapi_version="3.1.0", plugins=[plugin], info={"description": description}
    )
    assert plugin.converter is not None
    plugin.converter.add_attribute_function(_special_fields)  # type: ignore[no-untyped-call]
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    spec.components.schema("Problem", schema=answer_schema(answers.Problem))
    for route in routes:
        operation = _operation(plugin, route, picture_bytes)
        spec.path(route.path, operations={route.method.lower(): operation})
    document: dict[str, Any] = spec.to_dict()
    for name, schema in document["components"]["schemas"].items():
        schema["additionalProperties"] = False
        schema.setdefault("title", name)
    pruned: dict[str, Any] = _without_null_defaults(document)
    return pruned


def _operation(plugin: MarshmallowPlugin, route: Route, picture_bytes: int) -> dict[str, Any]:
    about = _more(route)
    module = route.handler.__module__.rpartition(".")[2]
    parameters: list[Any] = [
        {"in": "path", "name": name, "required": True, "schema": _PATH_TEXT if name in _TEXTS else _PATH_ID}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        assert plugin.converter is not None
        described = plugin.converter.schema2parameters(input_schema(route.query), location="query")
        parameters += [_query_parameter(parameter) for parameter in described]
    parameters += [
        {
            "in": "header",
            "name": header.name,
            "required": True,
            "description": header.words,
            "schema": {"type": "string", "pattern": header.pattern},
            "example": header.example,
        }
        for header in about.headers
    ]
    if route.is_repeatable:
        parameters.append(_KEY)
    if route.has_version and route.method != "GET":
        parameters.append(_VERSION)
    operation: dict[str, Any] = {
        "operationId": f"{module}_{route.handler.__name__}",
        "tags": [module.replace("_", " ")],
        "summary": _summary(route),
        "parameters": parameters,
        "responses": _responses(route, about),
    }
    if description := _description(route):
        operation["description"] = description
    if route.action not in ANONYMOUS:
        operation["security"] = [{"bearer": []}] if needs_login(route.action) else [{}, {"bearer": []}]
    if route.body is not None:
        content: dict[str, Any] = {"schema": input_schema(route.body)}
        if about.example is not None:
            content["example"] = dict(about.example)
        operation["requestBody"] = {"required": about.needs_body, "content": {JSON: content}}
    elif _takes_part(route):
        operation["requestBody"] = {
            "required": False,
            "description": "The bytes.",
            "content": {PARTIAL: {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}},
        }
    elif _takes_picture(route):
        operation["requestBody"] = {
            "required": True,
            "description": f"A form with one field; the file has at most {picture_bytes} bytes.",
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["picture"],
                        "properties": {"picture": {"type": "string", "contentMediaType": "application/octet-stream"}},
                        "additionalProperties": False,
                    }
                }
            },
        }
    return operation


def _query_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """Returns apispec's parameter for an optional field without null: a query cannot send null."""
    schema = parameter["schema"]
    kind = schema.get("type")
    if isinstance(kind, list):
        schema["type"] = next(name for name in kind if name != "null")
    if "anyOf" in schema:
        # A query has only text, so an id looks as it does in a path.
        parameter["schema"] = _PATH_ID
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    return parameter


def _more(route: Route) -> Operation:
    return OPERATIONS.get((route.method, route.path), _NOTHING_MORE)


def _summary(route: Route) -> str:
    """Returns the first line of the handler's docstring."""
    return (route.handler.__doc__ or "").partition("\n")[0].removesuffix(".")


def _description(route: Route) -> str:
    """Returns what follows the first line of the handler's docstring, in one line."""
    return " ".join((route.handler.__doc__ or "").partition("\n")[2].split())


def answered(route: Route) -> tuple[Any, bool]:
    """Returns the class of a successful answer, and whether the answer is a page of it, from the handler's annotation.

    The class is NoneType for a 204, and None if the answer is not JSON.
    """
    kind = get_type_hints(route.handler)["return"]
    if get_origin(kind) is Json:
        [kind] = get_args(kind)
    if get_origin(kind) is Page:
        return get_args(kind)[0], True
    return (_more(route).answer if kind is web.Response else kind), False


def _responses(route: Route, about: Operation) -> dict[str, Any]:
    kind, is_page = answered(route)
    responses: dict[str, Any]
    if kind is NoneType:
        responses = {"204": {"description": "Done."}}
    else:
        content: dict[str, Any] = {JSON: {"schema": (page_schema if is_page else answer_schema)(kind)}} if kind else {}
        content |= {name: {"schema": {} if name == JSON else {"type": "string"}} for name in about.files}
        responses = {str(route.status): {"description": _summary(route) + ".", "content": content}}
        if about.may_be_empty:
            responses["204"] = {"description": "Done."}
    is_picture = route.path.startswith(("/api/pictures/", "/api/messages/pictures/"))
    if route.method == "GET" and (is_picture or route.has_version):
        responses["304"] = {"description": "The client's copy, named by If-None-Match, is still current."}
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in _problems(route, about):
        by_status.setdefault(problem.status, []).append(problem)
    for status, found in sorted(by_status.items()):
        responses[str(status)] = _problem_response(found, route)
    if route.path == "/health/ready":
        responses["503"] = {
            "description": "The process cannot serve.",
            "content": {JSON: {"schema": answer_schema(HealthState)}},
        }
    return responses


def _problems(route: Route, about: Operation) -> list[type[Problem]]:
    """Returns the problems of a route: its own, and those that follow from its token, path, body and method."""
    found: list[type[Problem]] = list(about.problems)
    if route.action not in ANONYMOUS:
        found += [problems.Unauthorized, problems.BannedUser]
        if needs_login(route.action):
            found.append(problems.Forbidden)
    if _PARAMETER.search(route.path):
        found.append(problems.NotFound)
    if route.body is not None:
        found += [problems.NotJson]
    if route.body is not None or _takes_picture(route):
        found += [problems.TooSlow, problems.TooLarge, problems.WrongMediaType]
    if route.is_repeatable:
        found += [problems.BadRequest, problems.KeyInUse, problems.KeyReused]
    if route.has_version and route.method != "GET":
        found += [problems.BadRequest, problems.ChangedMeanwhile]
    if route.action is not Action.SERVICE_READ:
        found.append(problems.TooManyRequests)
    found += [problems.Invalid, problems.InternalError]
    if route.path not in _NO_DATABASE:
        found.append(problems.Unavailable)
    return list(dict.fromkeys(found))


def _problem_response(found: list[type[Problem]], route: Route) -> dict[str, Any]:
    status = found[0].status
    response: dict[str, Any] = {
        "description": " ".join(f"`/problems/{problem.slug}`: {problem.title}." for problem in found),
        "content": {
            _PROBLEM_JSON: {
                "schema": "Problem",
                "examples": {problem.slug: {"value": _example(problem, route)} for problem in found},
            }
        },
    }
    if status in (429, 503):
        seconds = {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 0}}
        response["headers"] = {"Retry-After": seconds}
    if status == 401:
        response["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return response


def _example(problem: type[Problem], route: Route) -> dict[str, Any]:
    example: dict[str, Any] = {"type": f"/problems/{problem.slug}", "title": problem.title, "status": problem.status}
    example["detail"] = problem.title + "."
    if problem.status == 422:
        example["errors"] = _wrong_input(route)
    return example


def _wrong_input(route: Route) -> dict[str, list[str]]:
    """Returns errors that a request of this route can get."""
    required = [name for name, one in input_schema(route.body)().fields.items() if one.required] if route.body else []
    if required:
        return {required[0]: ["Missing data for required field."]}
    return {"colour_of_hair": ["Unknown field."]} if route.body else {"page": ["Unknown parameter."]}


def _takes_picture(route: Route) -> bool:
    return route.method == "POST" and route.path in (PICTURES, MESSAGE_PICTURES)


def _takes_part(route: Route) -> bool:
    return route.method == "PATCH" and route.action is Action.PICTURE_CHANGE


def _schema_name(schema: type[Schema] | Schema) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__


def _special_fields(_: Any, field: marshmallow_fields.Field[Any], ret: dict[str, Any], **__: Any) -> dict[str, Any]:
    """Returns the schema of the project's own fields, which apispec does not know."""
    if isinstance(field, IdOrZero):
        return {**_PATH_ID, "minimum": 0}
    if isinstance(field, Id):
        ret.pop("type", None)
        allowed = list(_ANY_ID["anyOf"])
        return {"anyOf": [*allowed, {"type": "null"}] if field.allow_none else allowed}
    if isinstance(field, Flag):
        return {"type": "boolean"}
    return {}


def _without_null_defaults(value: Any) -> Any:
    """Returns the value without `"default": null`, which would say that null is the default."""
    if isinstance(value, dict):
        return {
            name: _without_null_defaults(inner)
            for name, inner in value.items()
            if not (name == "default" and inner is None)
        }
    if isinstance(value, list):
        return [_without_null_defaults(inner) for inner in value]
    return value
