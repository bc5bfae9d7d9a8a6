"""Adapters: one module per framework, imported when an object of that framework is served."""

__all__: list[str] = []
