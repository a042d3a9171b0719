"""The SQL condition for two people of whom one has blocked the other: nobody is told of such a seller's listings."""

from __future__ import annotations


def is_blocked(one: str, other: str) -> str:
    """Returns the condition: one of the two users has blocked the other. Arguments are SQL for their ids."""
    return f"""EXISTS (SELECT FROM blocks b WHERE b.blocker_id = {one} AND b.blocked_id = {other}
        OR b.blocker_id = {other} AND b.blocked_id = {one})"""
