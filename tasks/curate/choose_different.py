"""Few chains of many, none of them near the same as another: by the share of word trigrams that two have in common."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.curate.chain_steps import as_words

Grams = frozenset[tuple[str, ...]]
GRAM_WORDS = 3


def grams(text: str) -> Grams:
    """The word trigrams of a text; of a shorter one, all of it."""
    words = as_words(text)
    count = max(1, len(words) - GRAM_WORDS + 1)
    return frozenset(tuple(words[start : start + GRAM_WORDS]) for start in range(count))


def distance(one: Grams, other: Grams) -> float:
    """1 minus Jaccard's index: 0 for the same trigrams, 1 for none in common."""
    return 1 - len(one & other) / len(one | other)


def choose_different(texts: Sequence[str], most: int, least_distance: float) -> tuple[list[int], list[int]]:
    """Choose texts, the first one and then whichever is farthest from those chosen.

    Args:
        texts: to choose from.
        most: how many at most.
        least_distance: two chosen ones are at least so far apart, 0 to 1.

    Returns:
        Indices in the order of choice, and of the others those that are too near a chosen one.
    """
    sets = [grams(text) for text in texts]
    nearest = [1.0] * len(sets)  # to the chosen ones
    chosen: list[int] = []
    left = list(range(len(sets)))
    while left and len(chosen) < most:
        best = max(left, key=lambda index: (nearest[index], -index))
        if chosen and nearest[best] < least_distance:
            break
        chosen.append(best)
        left.remove(best)
        for index in left:
            nearest[index] = min(nearest[index], distance(sets[index], sets[best]))
    return chosen, [index for index in left if nearest[index] < least_distance]
