"""Real servers from wheels for development and tests, and the supervisor behind `make run`; not for production."""
