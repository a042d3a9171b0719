"""Tests of gateway/runtime. Each file has a small channel of its own; none uses sockets."""
