"""The other sides. Each module runs under the interpreter of its own peer and imports nothing of codin."""

import os
import sys

if "BENCHMARK_DATABASE" not in os.environ:
    # The peer's environment holds SQLAlchemy for the SQLite figures only, and the SDK imports it whenever it is there.
    # Everywhere else the SDK is measured as it runs without its database extra, which is lighter.
    sys.modules["sqlalchemy"] = None  # type: ignore[assignment]

# So it is with gRPC, which is there for the interop tests.
sys.modules["grpc"] = None  # type: ignore[assignment]
