"""Requirement checks against any A2A v1.0 server, from the outside: what `codin check` runs."""
