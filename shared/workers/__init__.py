"""Several processes on one port, each a node of its own, and the small parent that starts, watches and replaces them.

The parent binds one socket for each worker, all to the same port (SO_REUSEPORT), and keeps them open: the kernel
spreads new connections over them. A worker gets its socket from the parent. Connections that wait in a socket belong to
the socket and not to a process, so a worker's successor accepts what the worker left behind.
"""
