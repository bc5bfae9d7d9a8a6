"""Types make the interface: parameters come from the message's data part, the return value goes out as one.

    python examples/typed.py

The JSON Schemas stand in the agent's description of itself. What does not fit is rejected, and the field is named.
"""

import asyncio
from itertools import pairwise

from pydantic import BaseModel

import codin
from codin.agent import agent
from codin.testing import serving


class Point(BaseModel):
    """A place on a map."""

    x: float
    y: float


class Route(BaseModel):
    """A way over several points, and its length."""

    points: list[Point]
    length: float


@agent
def measure(points: list[Point], closed: bool = False) -> Route:
    """Measure a way from point to point.

    Args:
        points: in the order of the way.
        closed: whether it leads back to the first point.
    """
    way = [*points, points[0]] if closed else points
    length = sum(abs(complex(b.x - a.x, b.y - a.y)) for a, b in pairwise(way))
    return Route(points=way, length=length)


async def main() -> None:
    triangle = [{"x": 0, "y": 0}, {"x": 3, "y": 0}, {"x": 3, "y": 4}]
    async with serving(measure) as url, codin.connect(url) as peer:
        reply = await peer.send({"points": triangle, "closed": True})
        print(Route.model_validate(reply.data).length)
        reply = await peer.send({"points": [{"x": 0, "y": "north"}]})
        print(reply.state, reply.text)


if __name__ == "__main__":
    asyncio.run(main())
