"""The transports over real sockets. Mirrors gateway/transports."""
