"""Processes are replaced in turn under load, by the same release and by the next one."""
