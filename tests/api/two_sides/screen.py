"""What a client of private chat shows: it applies the events as clients/javascript and the page do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Payload = dict[str, Any]


def without_text(message: Payload, at: str | None) -> Payload:
    """Returns the message as it is after its sender has deleted it."""
    return {**message, "message": "", "deleted_at": at}


class Screen:
    """One user's messages on one device, by id; and what the device knows of requests and of what was read."""

    def __init__(self, me: int) -> None:
        self.me = str(me)
        self.messages: dict[int, Payload] = {}
        self.after_id = 0
        """The greatest id up to which everything was seen; the device joins with it."""
        self.requests: dict[str, str | None] = {}
        """By the other user: "open", "declined", or None if the conversation is in the inbox."""
        self.decided: list[tuple[str, str]] = []
        self.read_by_others: dict[str, int] = {}
        """By the other user: the id up to which that user has read, as far as this device was told."""
        self._deleted: dict[int, str | None] = {}
        self._replaced: set[int] = set()
        """Ids under which messages were held that were delivered since. They may arrive late."""
        self._is_caught_up = False
        self._live_id = 0

    def lost(self) -> None:
        """The connection is lost."""
        self._is_caught_up = False
        self._live_id = 0

    def joined(self, answer: Mapping[str, Any]) -> None:
        """The answer to a join with `after_id`, in which nothing is left out."""
        assert answer["complete"], "the histories are shorter than what one join answers"
        self.lost()
        ids = [message["id"] for message in answer["messages"]]
        assert ids == sorted(set(ids)), "catching up is in the order of the ids, and has each once"
        for message in answer["messages"]:
            self._add(message)
            self.after_id = max(self.after_id, message["id"])
        assert not answer.get("more_deleted")
        self.forget(answer.get("deleted", ()))
        self.after_id = max(self.after_id, self._live_id)
        self._is_caught_up = True

    def happens(self, event: str, payload: Payload) -> None:
        """An event of the user's topic."""
        match event:
            case "send":
                self._add(payload)
                if self._is_caught_up:
                    self.after_id = max(self.after_id, payload["id"])
                self._live_id = max(self._live_id, payload["id"])
            case "deleted":
                assert self.me in (payload["from"], payload["to"])
                self._delete(payload["id"], payload["deleted_at"])
            case "request":
                self.decided.append((payload["with"], payload["state"]))
                self.requests[payload["with"]] = None if payload["state"] == "accepted" else payload["state"]
            case "read" if payload["by"] != self.me:
                assert payload["with"] == self.me
                other = payload["by"]
                self.read_by_others[other] = max(self.read_by_others.get(other, 0), payload["up_to"])
            case "read":
                pass
            case _:
                raise AssertionError(f"nobody expects {event}")

    def forget(self, ids: Iterable[int]) -> None:
        """Drop the texts of messages that were deleted while the device was away."""
        for message_id in ids:
            self._delete(message_id, None)

    def _add(self, message: Payload) -> None:
        assert self.me in (message["from"], message["to"])
        message_id = message["id"]
        if "was_id" in message:
            # A message that was held has had another id for its sender.
            self._replaced.add(message["was_id"])
            self.messages.pop(message["was_id"], None)
        if message_id in self._replaced:
            return
        if message_id in self.messages:
            if "deleted_at" in message:
                self._delete(message_id, message["deleted_at"])
            return
        if message_id in self._deleted:
            message = without_text(message, self._deleted[message_id])
        self.messages[message_id] = message
        other = message["from"]
        if other == self.me:
            # An answer accepts. What is held answers nobody yet.
            if "held" not in message:
                self.requests[message["to"]] = None
        elif "request" not in message:
            self.requests[other] = None
        else:
            self.requests.setdefault(other, "open")

    def _delete(self, message_id: int, at: str | None) -> None:
        self._deleted[message_id] = at
        if message_id in self.messages:
            self.messages[message_id] = without_text(self.messages[message_id], at)
