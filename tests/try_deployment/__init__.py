"""Walks the operating guide in a real container engine: `make try-deployment`, which reports at the end what failed.

`__main__` has the order of the walk, and `steps/` its actions and checks. `engine` and `stack` carry them out, and
`guide` reads the commands from docs/operating.md. `visitors/` runs in a container in the deployment's own networks,
because published ports cannot be reached from everywhere; it needs nothing that the image of the processes lacks.
"""
