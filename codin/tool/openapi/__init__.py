"""The operations of an HTTP API that an OpenAPI document describes, as tools."""

from codin.tool.openapi._api import OpenApiTool
from codin.tool.openapi._auth import Secret
from codin.tool.openapi._document import OpenApiLimits
from codin.tool.openapi._tools import openapi_tools

__all__ = ["OpenApiLimits", "OpenApiTool", "Secret", "openapi_tools"]
