"""The runtime with small channels of each test's own, without sockets. Mirrors gateway/runtime."""
