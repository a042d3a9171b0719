"""The secret of the tests' tokens."""

from __future__ import annotations

JWT_SECRET = "a-secret-of-the-tests-and-of-nobody-else-on-earth"
