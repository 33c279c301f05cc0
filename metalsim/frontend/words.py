"""Tables of words, written as text."""


def words(text: str) -> frozenset[str]:
    """The set of the words of a text that white space separates."""
    return frozenset(text.split())
