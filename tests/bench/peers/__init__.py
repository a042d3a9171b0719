"""The echo of `bare_echo.py` on other libraries. They run in a virtual environment of their own, with
`requirements/peers.lock`, and import nothing of Daveslist but each other."""
