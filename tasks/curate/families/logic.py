"""Truth of small formulas, and proofs by chains of implications."""

from __future__ import annotations

import random
from itertools import pairwise

from tasks.curate.families.arithmetic import BOTH
from tasks.curate.families.draft import Draft, Family, Pad, Params, wording

_TRUTH = {
    "en": ("{f}. Is it true that {e}? Answer true or false.", "{f}. True or false: {e}?"),
    "zh": ("{f}。判断真假：{e}。请用 true 或 false 回答。",),
}
_CHAIN = {
    "en": (
        "Given {f}. Prove {g}: which letters follow, in order?",
        "From {f}, derive {g}. List each step's letter.",
    ),
    "zh": ("已知 {f}。证明 {g}，依次写出推出的字母。",),
}
_NAMES = "ABCDEFGH"
_LETTERS = "abcdeghkmnpqrstuvw"


def _make_truth(rng: random.Random, level: int, language: str) -> Draft:
    values = [rng.random() < 0.5 for _ in range(2 if level <= 2 else 3)]
    negated = [level in (2, 4) and rng.random() < 0.5 for _ in values]
    signs = [rng.choice(("and", "or")) for _ in values[1:]]
    names = rng.sample(_NAMES, len(values))
    facts = ", ".join(f"{n} is {_word(v)}" for n, v in zip(names, values, strict=True))
    atoms = [("not " if no else "") + n for n, no in zip(names, negated, strict=True)]
    formula = atoms[0]
    for k, (sign, atom) in enumerate(zip(signs, atoms[1:], strict=True)):
        formula = f"({formula}) {sign} {atom}" if k else f"{formula} {sign} {atom}"
    gold = values[0] != negated[0]
    for sign, value, no in zip(signs, values[1:], negated[1:], strict=True):
        gold = gold and value != no if sign == "and" else gold or value != no
    parts = sorted(zip(map(_word, values), map(str, negated), ["", *signs], strict=True))
    return Draft(
        **wording(rng, _TRUTH, language, f=facts, e=formula),
        gold=_word(gold), key=tuple(" ".join(part) for part in parts),
        params={"values": values, "negated": negated, "signs": signs},
    )  # fmt: skip


def _word(value: bool) -> str:
    return "true" if value else "false"


def _work_truth(params: Params, pad: Pad) -> str:
    values, negated, signs = params["values"], params["negated"], params["signs"]
    pad.understand("true or false?", "是真是假？")
    pad.plan("put in the values, then join from the left.", "代入真值，从左到右计算。")
    atoms = []
    for value, no in zip(values, negated, strict=True):
        atom = _word(value)
        if no:
            atom = pad.claim(f"not {atom} = {_flip(atom)}", f"not {atom} = {atom}", _flip(atom), atom)
        atoms.append(atom)
    result = atoms[0]
    for sign, atom in zip(signs, atoms[1:], strict=True):
        a, b = result == "true", atom == "true"
        value = _word(a and b if sign == "and" else a or b)
        result = pad.claim(
            f"{result} {sign} {atom} = {value}",
            f"{result} {sign} {atom} = {_flip(value)}",
            value,
            _flip(value),
        )
    return result


def _flip(word: str) -> str:
    return "false" if word == "true" else "true"


def _make_chain(rng: random.Random, level: int, language: str) -> Draft:
    chain = rng.sample(_LETTERS, level + 2)
    rules = [f"{a} -> {b}" for a, b in pairwise(chain)]
    if level >= 3:
        rules.append(f"{rng.choice([x for x in _LETTERS if x not in chain])} -> {rng.choice(chain[1:])}")
    rng.shuffle(rules)
    return Draft(
        **wording(rng, _CHAIN, language, f=", ".join([chain[0], *rules]), g=chain[-1]),
        gold=" ".join(chain[1:]), key=(chain[0], *rules), params={"chain": chain},
    )  # fmt: skip


def _work_chain(params: Params, pad: Pad) -> str:
    chain: list[str] = params["chain"]
    pad.understand(f"{chain[0]} holds; {chain[-1]} is wanted.", f"{chain[0]} 成立，要证 {chain[-1]}。")
    pad.plan("apply one rule after the other.", "逐条使用规则。")
    derived: list[str] = []
    for a, b in pairwise(chain):
        other = pad.rng.choice([x for x in _LETTERS if x not in chain])
        derived.append(pad.claim(f"{a}, {a} -> {b}: {b}", f"{a}, {a} -> {b}: {other}", b, other))
    return " ".join(derived)


FAMILIES = (
    Family("truth", "logic", 4, BOTH, "exact", _make_truth, _work_truth),
    Family("implication_proofs", "proof", 4, BOTH, "list", _make_chain, _work_chain),
)
