"""Tests of gateway/transports, over real sockets."""
