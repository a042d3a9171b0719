"""Real servers from wheels for development and tests, and the supervisor behind `make run`. No production code needs it."""
