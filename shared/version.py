"""The version of this program, as pyproject.toml has it; the image does not contain that file."""

VERSION = "0.1.0"
