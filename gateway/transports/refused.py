"""Tells the operator of a refused connect: a count by its reason, and a line that says which user it was."""

from __future__ import annotations

from gateway.runtime.endpoint import Endpoint
from gateway.runtime.refusals import EVENTS, REASONS_OF_USERS
from shared.access.addresses import network_of
from shared.client_address import Received, address_of
from shared.logs import log_of
from shared.security_events import SecurityEvent

log = log_of(__name__)


def tell_refused(endpoint: Endpoint, request: Received, reason: str, user_id: int | None = None) -> None:
    """Count and log the refusal. `reason` is one of REFUSALS; `user_id` is the user's, if the token names one."""
    endpoint.counts.refused.labels(reason).inc()
    if reason not in REASONS_OF_USERS:
        # Anybody can cause these at will, and the count says enough.
        return
    who = {"user_id": user_id, "network": network_of(address_of(request, endpoint.settings.trusted_proxies))}
    event: SecurityEvent | None = EVENTS.get(reason)
    if event is None:
        log.info("connection refused", **who, reason=reason)
    else:
        endpoint.security_events.tell(event, who, {"reason": reason})
