"""A small client of the gateway for the command line: `python -m gateway.client --help`."""
