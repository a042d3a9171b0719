"""Attacks on a deployment of real processes behind nginx, and what somebody else notices of them."""
