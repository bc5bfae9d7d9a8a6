"""The URIs of codin's own extensions of A2A; a JSON Schema of each is in specs/. Spec 4.6."""

from __future__ import annotations

__all__ = ["RESUME_EXTENSION", "SCHEMA_EXTENSION"]

RESUME_EXTENSION = "urn:codin:a2a:resume:v1"
"""Events are numbered, and a stream resumes behind one; specs/resume-v1.json."""

SCHEMA_EXTENSION = "urn:codin:a2a:schema:v1"
"""The card carries the JSON Schemas of the data that the agent reads and answers with; specs/schema-v1.json."""
