"""Files in, a file out.

    python examples/files.py [FILE.csv]

A parameter of type `bytes` is a file of the message; `Media` says which kind. Another kind is refused before the
function is called.
"""

import asyncio
import csv
import io
import json
import sys
from typing import Annotated

import codin
from codin import a2a
from codin.agent import Media, agent
from codin.testing import serving

TABLE = b"port,range in metres\nSaint-Malo,12.2\nLiverpool,8.4\nVenice,0.9\n"


@agent
def convert(
    table: Annotated[bytes, Media("text/csv")],
) -> Annotated[bytes, Media("application/json", filename="table.json")]:
    """Turn a CSV table into JSON, one object for each row."""
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    return json.dumps(rows, ensure_ascii=False, indent=1).encode()


async def main() -> None:
    table = sys.argv[1] if len(sys.argv) > 1 else a2a.Part(raw=TABLE, media_type="text/csv", filename="tides.csv")
    async with serving(convert) as url, codin.connect(url) as peer:
        reply = await peer.send("as JSON, please", files=[table])
        for file in reply.files:
            print(file.filename, file.media_type)
            print((file.raw or b"").decode())
        try:
            await peer.send("and this?", files=[a2a.Part(raw=b"%PDF", media_type="application/pdf")])
        except a2a.ContentTypeNotSupported as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
