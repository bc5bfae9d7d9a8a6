"""An agent called over HTTP+JSON: by codin's client, and by a client that knows nothing but HTTP.

    python examples/over_http_json.py

Every agent speaks both bindings at one address; its card names them. `binding=` says which one the client speaks.
"""

import asyncio

import httpx

import codin
from codin.agent import agent
from codin.testing import serving


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def main() -> None:
    async with serving(shout) as url:
        async with codin.connect(url, binding="HTTP+JSON") as peer:
            print((await peer.send("hello")).text)
        async with httpx.AsyncClient(base_url=url, headers={"A2A-Version": "1.0"}) as http:
            message = {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello again"}]}
            task = (await http.post("/message:send", json={"message": message})).json()["task"]
            print(task["artifacts"][0]["parts"][0]["text"])
            tasks = (await http.get("/tasks", params={"status": "TASK_STATE_COMPLETED", "pageSize": 10})).json()
            print(tasks["totalSize"], "tasks")
            missing = await http.get("/tasks/nothing")
            print(missing.status_code, missing.json()["error"]["details"][0]["reason"])


if __name__ == "__main__":
    asyncio.run(main())
