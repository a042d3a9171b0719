"""The protocol as a client sees it: serializers, session, and recordings of a real server. Mirrors gateway/protocol."""
