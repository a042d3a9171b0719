"""Follows the operating guide in a real container engine, and reports what failed. `make try-deployment` runs it.

`__main__` has the order of the walk, and `steps/` its actions and checks. `engine` and `stack` carry them out, and
`guide` reads the commands from docs/operating.md. `visitors/` runs in a container in the deployment's own networks,
because published ports cannot be reached from everywhere. It needs only what the image of the processes has.
"""
