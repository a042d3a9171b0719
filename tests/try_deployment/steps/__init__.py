"""The steps of the walk, with a file for each chapter; `tests.try_deployment.__main__` has their order."""
