"""The URIs of codin's own extensions of A2A; a JSON Schema of each is in specs/. Spec 4.6."""

from __future__ import annotations

__all__ = ["CALL_EXTENSION", "RESUME_EXTENSION", "SCHEMA_EXTENSION"]

CALL_EXTENSION = "urn:codin:a2a:call:v1"
"""A call carries the limits it is made within, and the card says who the agent is; specs/call-v1.json."""

RESUME_EXTENSION = "urn:codin:a2a:resume:v1"
"""Events are numbered, and a stream resumes behind one; specs/resume-v1.json."""

SCHEMA_EXTENSION = "urn:codin:a2a:schema:v1"
"""The card carries the JSON Schemas of the data that the agent reads and answers with; specs/schema-v1.json."""
