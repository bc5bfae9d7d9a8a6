"""A LangGraph chat graph, served as it is: its tokens are streamed, and a conversation is a context.

    python examples/langgraph_chat.py

The model is LangChain's stand-in, which says what it is told to; put a real one in its place.
"""

# What StateGraph takes is only half typed.
# pyright: reportUnknownMemberType=false

import asyncio

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

import codin
from codin.testing import serving

model = GenericFakeChatModel(messages=iter([AIMessage("Twice a day, mostly."), AIMessage("The moon, and the sun.")]))


async def respond(state: MessagesState) -> dict[str, list[AIMessage]]:
    print(f"  (the model sees {len(state['messages'])} messages)")
    return {"messages": [await model.ainvoke(state["messages"])]}


builder = StateGraph(MessagesState)
builder.add_node("respond", respond)
builder.add_edge(START, "respond")
chat = builder.compile(name="chat", checkpointer=InMemorySaver())


async def main() -> None:
    async with serving(chat) as url, codin.connect(url) as peer:
        context = None
        for question in ("How often is high tide?", "And what makes it?"):
            print(question)
            async for event in peer.stream(question, context_id=context):
                print(event.text, end="|" if event.text else "", flush=True)
                context = event.task.context_id if event.task else context
            print()


if __name__ == "__main__":
    asyncio.run(main())
