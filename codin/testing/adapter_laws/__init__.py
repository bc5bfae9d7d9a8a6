"""The acceptance suite of an adapter: what codin promises of every framework, as tests that any adapter can be given.

    CASE = AdapterCase("mine", chat=chat, structured=structured, cannot={"memory": "it keeps no conversations", …})

    @pytest.mark.anyio
    @pytest.mark.parametrize("law", laws(CASE), ids=str)
    async def test_the_adapter_keeps(law: Law) -> None:
        await law.check(CASE)

docs/testing.md tells the rest.
"""

from codin.testing.adapter_laws._bench import Bench
from codin.testing.adapter_laws._case import AdapterCase, Asked, Asking
from codin.testing.adapter_laws._law import Law, laws, promise_table

__all__ = ["AdapterCase", "Asked", "Asking", "Bench", "Law", "laws", "promise_table"]
