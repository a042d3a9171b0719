"""Walks the operating guide in a real container engine: `make try-deployment`, which says at the end whether all held.

`__main__` is the order of the walk, `steps/` what is done and looked at, `engine` and `stack` how it is done, `guide`
the commands as docs/operating.md has them. `visitors/` runs in a container of the deployment's own networks, because
published ports are not reachable from everywhere; it needs nothing that the image of the processes lacks.
"""
