"""Reading the internet."""

from __future__ import annotations

from codin.tool.ready import Fetch, Page

fetch = Fetch().fetch
read_page = Page().read_page
