"""The steps of the walk, a file for each chapter of it; `tests.try_deployment.__main__` has their order."""
