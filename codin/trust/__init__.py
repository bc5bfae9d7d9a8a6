"""Who is calling."""

from codin.trust._caller import ANONYMOUS, Caller

__all__ = ["ANONYMOUS", "Caller"]
