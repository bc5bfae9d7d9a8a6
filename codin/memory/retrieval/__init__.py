"""Files and folders as records that can be searched, and where a found passage is from."""

from codin.memory.retrieval._citation import citation, passage
from codin.memory.retrieval._ingest import Ingested, Progress, ingest
from codin.memory.retrieval._limits import IngestLimits

__all__ = ["IngestLimits", "Ingested", "Progress", "citation", "ingest", "passage"]
