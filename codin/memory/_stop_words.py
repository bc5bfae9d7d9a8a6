"""What a question is made of in English, whatever it is about."""

from __future__ import annotations

from collections.abc import Sequence

from codin.memory._words import terms_of

__all__ = ["telling"]

_WORDS = """
a about am an and any are as at be because been before being but by can could did do does doing done down for from had
has have having he her here him his how i if in into is it its itself just like may me might mine more most must my no
nor not of off on once only or other our out over own please same shall she should so some such tell than that the
their them then there these they this those through to too under until up us very want was we were what when where
whether which while who whom whose why will with would you your
d didn doesn don isn ll m re s t ve
"""
_STOP = frozenset(terms_of(_WORDS))


def telling(terms: Sequence[str]) -> list[str]:
    """The terms of a query that say what it is about, each once; all of them when none does.

    In pages that explain, the words of a question are rare, and what is rare counts much: without this, "how do I …"
    finds the page that says "I".
    """
    once = dict.fromkeys(terms)
    return [term for term in once if term not in _STOP] or list(once)
