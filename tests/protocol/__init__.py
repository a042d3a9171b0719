"""Tests of gateway/protocol: serializers, session, and recordings of a real Phoenix server."""
