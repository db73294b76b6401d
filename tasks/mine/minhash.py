"""MinHash signatures of word shingles, banding, and clusters of near-duplicates, all over NumPy arrays.

Broder (1997), "On the resemblance and containment of documents": the share of equal values in two signatures is an
unbiased estimate of the Jaccard similarity of the shingle sets, with variance J (1 - J) / permutations. rensa
computes the permutations; banding is ours, for rensa's own flags mark every copy, the kept one too.

Shape legend: N pages in rank order (a lower rank is kept before a higher one), P permutations, E pairs of pages.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rensa import RMinHash

from tasks.mine.ngrams import I64, U64, combine, words_of

U32 = NDArray[np.uint32]

PAIRS_AT_ONCE = 1 << 16
"""Pairs whose signatures are gathered at a time, to bound memory: 2 x 30 MB with 120 permutations."""


def signatures(texts: pl.Series, *, shingle_words: int, permutations: int, seed: int) -> U32:
    """MinHash signatures (N, P) of the word n-grams of `texts`, operators counted as words.

    A text with fewer than `shingle_words` words is one shingle; a text without words has the signature of the empty
    set (all 2 ** 32 - 1).
    """
    blocks = [np.zeros((0, permutations), np.uint32)]
    for words in words_of(texts, symbols=True):
        hashes, whole = words.ngrams(shingle_words)
        lengths = np.diff(words.offset_n1)
        shingles = np.maximum(lengths - shingle_words + 1, (lengths > 0).astype(np.int64))
        flat = np.empty(int(shingles.sum()), np.uint64)
        offsets = np.concatenate(([0], np.cumsum(shingles)))
        short = (lengths > 0) & (lengths < shingle_words)
        is_short = np.zeros(len(flat), np.bool_)
        is_short[offsets[:-1][short]] = True
        flat[~is_short] = hashes[whole]
        for length in range(1, shingle_words):
            of_length = lengths == length
            flat[offsets[:-1][of_length]] = combine(words.hash_w, words.offset_n1[:-1][of_length], length)
        digests = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets.astype(np.uint64), permutations, seed)
        blocks.append(np.array(digests.to_rows(), np.uint32))
    return np.concatenate(blocks)


def similarity(signature_np: U32, left_e: I64, right_e: I64) -> NDArray[np.float32]:
    """Estimated Jaccard similarity of each pair (E)."""
    result = np.empty(len(left_e), np.float32)
    for at in range(0, len(left_e), PAIRS_AT_ONCE):
        part = slice(at, at + PAIRS_AT_ONCE)
        result[part] = (signature_np[left_e[part]] == signature_np[right_e[part]]).mean(axis=1, dtype=np.float32)
    return result


def similar_pairs(
    signature_np: U32, *, bands: int, threshold: float, hubs: int, held: int
) -> tuple[I64, I64, NDArray[np.float32]]:
    """Pairs (lower rank, higher rank, similarity) that share a band and reach `threshold`, sorted.

    In a band's bucket every page is compared with the first `hubs` pages of the bucket, so that a bucket of n pages
    costs at most n x hubs comparisons. Of several pages with one signature only the first enters the bands; the
    others pair with it. The first `held` pages are not compared with one another: they are unique already.
    """
    count, permutations = signature_np.shape
    first, copy = _bucket_pairs(_keys(signature_np), np.arange(count), 1, held)
    same = similarity(signature_np, first, copy) == 1
    first, copy = first[same], copy[same]
    alone = np.ones(count, np.bool_)
    alone[copy] = False
    ranks = np.flatnonzero(alone)
    rows = permutations // bands
    found: list[U64] = [_pack(first, copy)]
    for band in range(bands):
        keys = _keys(signature_np[ranks, band * rows : (band + 1) * rows])
        found.append(np.unique(_pack(*_bucket_pairs(keys, ranks, hubs, held))))
    pairs = np.unique(np.concatenate(found))
    left, right = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    alike = similarity(signature_np, left, right)
    near = alike >= threshold
    return left[near], right[near], alike[near]


def assign(signature_np: U32, left_e: I64, right_e: I64, *, floor: float, held: int) -> I64:
    """The rank of the page that each page yields to (N); its own where it is kept.

    Pages joined by pairs are a cluster, which keeps its lowest rank. A chain of small changes can join pages that
    have nothing in common: a member that resembles the kept page less than `floor` is not dropped for it, but
    clustered anew with the other such members. Held pages (the first `held`) are always kept.
    """
    count = len(signature_np)
    owner = np.arange(count)
    is_open = np.zeros(count, np.bool_)
    is_open[left_e] = is_open[right_e] = True
    while is_open[held:].any():
        inside = is_open[left_e] & is_open[right_e]
        label = _components(count, left_e[inside], right_e[inside])
        members = np.flatnonzero(is_open & (label != np.arange(count)))
        members = members[members >= held]
        close = members[similarity(signature_np, label[members], members) >= floor]
        owner[close] = label[close]
        is_open[close] = False
        is_open[label == np.arange(count)] = False
    return owner


def _components(count: int, left_e: I64, right_e: I64) -> I64:
    """The lowest rank of each page's connected component, by label propagation with pointer jumping."""
    label = np.arange(count)
    while True:
        lower = label.copy()
        np.minimum.at(lower, right_e, label[left_e])
        np.minimum.at(lower, left_e, label[right_e])
        np.minimum.at(lower, label[right_e], label[left_e])
        np.minimum.at(lower, label[left_e], label[right_e])
        lower = lower[lower]
        if np.array_equal(lower, label):
            return label
        label = lower


def _keys(values: U32) -> U64:
    """A 64-bit hash of each row. Chance collisions cost a comparison, nothing else."""
    keys = np.zeros(len(values), np.uint64)
    for column in values.T:
        keys = (keys ^ column) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys


def _bucket_pairs(keys: U64, ranks: I64, hubs: int, held: int) -> tuple[I64, I64]:
    """Pairs of ranks with equal keys: each of the first `hubs` of a bucket with all that come after it."""
    order = np.argsort(keys, kind="stable")
    start = np.ones(len(keys), np.bool_)
    start[1:] = keys[order][1:] != keys[order][:-1]
    place = np.arange(len(keys)) - np.maximum.accumulate(np.where(start, np.arange(len(keys)), 0))
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    at = np.flatnonzero((place > 0) & (ranks[order] >= held))
    for hub in range(hubs):
        at = at[place[at] > hub]
        if not len(at):
            break
        left.append(ranks[order[at - place[at] + hub]])
        right.append(ranks[order[at]])
    return np.concatenate(left), np.concatenate(right)


def _pack(left_e: I64, right_e: I64) -> U64:
    return (left_e.astype(np.uint64) << np.uint64(32)) | right_e.astype(np.uint64)
