"""Servers that the tests start for themselves, from Debian packages that are unpacked and not installed."""
