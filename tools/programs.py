"""Programs and Python code, in a sandbox."""

from __future__ import annotations

from codin.tool.ready import Python, Shell

shell = Shell()
python = Python()
