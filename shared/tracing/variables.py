"""Checks the variables of OpenTelemetry. Its packages read them: they ignore some wrong values, and fail at others.

Messages have no value that may be a secret: the headers and the addresses often have the key of the receiver.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.settings import InvalidSettings

_MOST = 2**31 - 1
_SAMPLERS_WITH_A_RATIO = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS = (
    "always_on",
    "always_off",
    "parentbased_always_on",
    "parentbased_always_off",
    *_SAMPLERS_WITH_A_RATIO,
)
_LISTED_SAMPLERS = ", ".join(_SAMPLERS)
_AT_LEAST_1 = (
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
)
_AT_LEAST_0 = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
)
_QUEUE, _BATCH = 2048, 512
"""What the packages take where the environment does not say."""
_HEADER = re.compile(r"([\w!#$%&'*+.^`|~-]+)[ \t]*=([^\",;\\]*)", re.ASCII)
_PRINTABLE = re.compile(r"[ -~]*")


def check_variables(environ: Mapping[str, str]) -> None:
    """Raises InvalidSettings if OpenTelemetry would ignore one of its variables, or fail."""

    def given(name: str) -> str:
        return environ.get(name, "").strip()

    names = dict(_CHECKS)
    for suffix, check in _EXPORTER_CHECKS.items():
        # That of the traces counts alone, if there is one.
        of_traces = f"OTEL_EXPORTER_OTLP_TRACES_{suffix}"
        names[of_traces if given(of_traces) else f"OTEL_EXPORTER_OTLP_{suffix}"] = check
    for name, (is_good, expected) in names.items():
        if (value := given(name)) and not is_good(value):
            raise InvalidSettings(f"{name}: must be {expected}")
    sampler, ratio = given("OTEL_TRACES_SAMPLER").lower(), given("OTEL_TRACES_SAMPLER_ARG")
    if sampler in _SAMPLERS_WITH_A_RATIO and not 0 <= _number(ratio) <= 1:
        raise InvalidSettings(
            f"OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1 with OTEL_TRACES_SAMPLER={sampler}"
        )
    if ratio and not sampler:
        raise InvalidSettings(f"OTEL_TRACES_SAMPLER: required with OTEL_TRACES_SAMPLER_ARG; one of {_LISTED_SAMPLERS}")
    queue = int(given("OTEL_BSP_MAX_QUEUE_SIZE") or _QUEUE)
    batch = int(given("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") or _BATCH)
    if batch > queue:
        raise InvalidSettings(
            f"OTEL_BSP_MAX_EXPORT_BATCH_SIZE: must be at most OTEL_BSP_MAX_QUEUE_SIZE, {queue}, not {batch}"
        )


def tidy(environ: MutableMapping[str, str]) -> None:
    """Remove empty variables, and blanks at the ends of others. The packages do not ignore them, as `Settings` does."""
    for name in [each for each in environ if each.startswith("OTEL_")]:
        value = environ.pop(name).strip()
        if value:
            environ[name] = value


def service_name(environ: Mapping[str, str]) -> str:
    """Returns the name of the processes in OTEL_RESOURCE_ATTRIBUTES; "" if it has none."""
    pairs = (part.partition("=") for part in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    names = [unquote(value.strip()) for name, _, value in pairs if name.strip() == "service.name"]
    return names[-1] if names else ""


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in value
    except ValueError:
        return False


def _are_headers(value: str) -> bool:
    # As the exporter reads them. It leaves others out, or can send nothing with them.
    parts = [part.strip() for part in value.split(",")]
    found = [_HEADER.fullmatch(part) for part in parts if part]
    return all(each is not None and _PRINTABLE.fullmatch(unquote(each[2])) for each in found)


def _are_attributes(value: str) -> bool:
    return all(part.partition("=")[0].strip() and "=" in part for part in value.split(","))


def _is_there(value: str) -> bool:
    return Path(value).exists()


def _whole(least: int) -> Callable[[str], bool]:
    return lambda value: value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= _MOST


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


Check = tuple[Callable[[str], bool], str]
"""Whether a value is good, and what it must be."""

_CHECKS: dict[str, Check] = {
    "OTEL_SDK_DISABLED": (lambda value: value.lower() in ("true", "false"), "true or false"),
    "OTEL_TRACES_SAMPLER": (lambda value: value.lower() in _SAMPLERS, f"one of {_LISTED_SAMPLERS}"),
    "OTEL_RESOURCE_ATTRIBUTES": (_are_attributes, "name=value, with commas between several"),
    **{name: (_whole(1), f"a whole number from 1 to {_MOST}") for name in _AT_LEAST_1},
    **{name: (_whole(0), f"a whole number from 0 to {_MOST}") for name in _AT_LEAST_0},
}
_EXPORTER_CHECKS: dict[str, Check] = {
    "ENDPOINT": (_is_address, "an address that begins with http:// or https://"),
    "PROTOCOL": (lambda value: value == "http/protobuf", "http/protobuf"),
    "HEADERS": (_are_headers, "name=value, with commas between several, and a comma in a value as %2C"),
    "TIMEOUT": (lambda value: 0 < _number(value) <= _MOST, "a number of seconds above 0"),
    "COMPRESSION": (lambda value: value.lower() in ("none", "gzip", "deflate"), "none, gzip or deflate"),
    "CERTIFICATE": (_is_there, "a file that is there"),
    "CLIENT_CERTIFICATE": (_is_there, "a file that is there"),
    "CLIENT_KEY": (_is_there, "a file that is there"),
}
"""By what follows OTEL_EXPORTER_OTLP_ or OTEL_EXPORTER_OTLP_TRACES_."""
