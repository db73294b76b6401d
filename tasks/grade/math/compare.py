"""Are two parsed answers the same? Structure first, then exact forms, float64 refutation and proof."""

from __future__ import annotations

import math
from fractions import Fraction

from tasks.grade.math.canon import Canon
from tasks.grade.math.floats import real_value
from tasks.grade.math.leaves import Leaves
from tasks.grade.math.nodes import (
    Based,
    Choice,
    Fn,
    Interval,
    Matrix,
    Mul,
    Node,
    Num,
    Quantity,
    Rel,
    Seq,
    SetOp,
    Sym,
    Text,
    negate,
)
from tasks.grade.math.realsets import is_set_like, real_set
from tasks.grade.math.rewrite import (
    FLIP,
    based_value,
    brackets,
    choice_letters,
    letters,
    oriented,
    rows,
    split_label,
    substitute,
)
from tasks.grade.math.units import conversion

MAX_ITEMS = 60
_ORDER = frozenset(["<", ">", "<=", ">="])
_FUNCTION_NAMES = frozenset("yfgh")


class Comparer(Leaves):
    """Structure of two answers, down to their expressions."""

    def same(self, gold: Node, prediction: Node) -> bool:
        """The verdict on two answers; `reason` says how it was reached."""
        if gold == prediction:
            return self._because("identical")
        if isinstance(gold, Rel) and isinstance(prediction, Rel) and self._relations(gold, prediction):
            return True
        gold_label, gold_value = split_label(gold)
        label, value = split_label(prediction)
        if gold_label is not None and label is not None and not self._same_label(gold_label, label):
            renamed = self._rename(gold_label, label, value)
            if renamed is None:
                return self._no("different left sides")
            value = renamed
        if (gold_label, label) == (None, None) and (gold_value, value) == (gold, prediction):
            return self._values(gold, prediction)
        return self._values(gold_value, value)

    # ---- labels and relations

    def _same_label(self, a: Node, b: Node) -> bool:
        if a == b:
            return True
        functions = [n.name[0] if isinstance(n, Sym | Fn) else "" for n in (a, b)]
        if isinstance(a, Sym) != isinstance(b, Sym) and all(f in _FUNCTION_NAMES for f in functions):
            return True
        return not isinstance(a, Fn) and not isinstance(b, Fn) and Canon().equal(a, b) is True

    def _rename(self, a: Node, b: Node, value: Node) -> Node | None:
        """`value` with b's variable replaced by a's, for labels f(x) and f(t)."""
        if not (isinstance(a, Fn) and isinstance(b, Fn) and a.name == b.name and len(a.args) == len(b.args) == 1):
            return None
        old, new = b.args[0], a.args[0]
        if not (isinstance(old, Sym) and isinstance(new, Sym)):
            return None
        return substitute(value, old, new)

    def _relations(self, gold: Rel, prediction: Rel) -> bool:
        """Equations and inequalities up to rearrangement and constant factors."""
        if len(gold.ops) != 1 or len(prediction.ops) != 1:
            return self._chains(gold, prediction)
        op_g, gap_g = oriented(gold)
        op_p, gap_p = oriented(prediction)
        if op_g != op_p or op_g in ("in", "~"):
            return False
        factor = Canon().proportional(gap_g, gap_p)
        if factor is not None:
            return factor != 0 and (op_g in ("=", "!=") or factor > 0) and self._because("same relation")
        if op_g not in ("=", "!="):
            return self._expressions(gap_g, gap_p)
        return self._expressions(gap_g, gap_p) or self._expressions(gap_g, negate(gap_p))

    def _chains(self, gold: Rel, prediction: Rel) -> bool:
        if set(gold.ops) | set(prediction.ops) <= {"="} or len(gold.ops) != len(prediction.ops):
            return False
        flipped = Rel(tuple(FLIP.get(op, op) for op in reversed(prediction.ops)), tuple(reversed(prediction.items)))
        for other in (prediction, flipped):
            pairs = zip(gold.items, other.items, strict=True)
            if other.ops == gold.ops and all(self._values(a, b) for a, b in pairs):
                return self._because("same chain")
        return False

    # ---- values

    def _values(self, gold: Node, prediction: Node) -> bool:
        if gold == prediction:
            return self._because("identical")
        if isinstance(gold, Text | Choice) or isinstance(prediction, Text | Choice):
            return self._texts(gold, prediction)
        if isinstance(gold, Quantity) or isinstance(prediction, Quantity):
            return self._quantities(gold, prediction)
        if isinstance(gold, Based) or isinstance(prediction, Based):
            return self._based(gold, prediction)
        if isinstance(gold, Seq) != isinstance(prediction, Seq) and choice_letters(gold):
            same = choice_letters(gold) == choice_letters(prediction)
            return self._because("same choices") if same else self._no("different choices")
        if is_set_like(gold) or is_set_like(prediction):
            return self._sets(gold, prediction)
        if isinstance(gold, Matrix) or isinstance(prediction, Matrix):
            return self._matrices(gold, prediction)
        if isinstance(gold, Seq) or isinstance(prediction, Seq):
            return self._sequences(gold, prediction)
        if isinstance(gold, Rel) or isinstance(prediction, Rel):
            if isinstance(gold, Rel) and isinstance(prediction, Rel):
                return self._relations(gold, prediction)
            return self._no("an equation against a value")
        return self._expressions(gold, prediction)

    def _texts(self, gold: Node, prediction: Node) -> bool:
        if isinstance(gold, Choice) or isinstance(prediction, Choice):
            picked = [n.letter if isinstance(n, Choice) else letters(n).upper() for n in (gold, prediction)]
            if picked[0] == picked[1]:
                return self._because("same choice")
            words = [n.words if isinstance(n, Choice) else letters(n) for n in (gold, prediction)]
            return self._because("same option") if words[0] and words[0] == words[1] else self._no("different choice")
        a, b = letters(gold), letters(prediction)
        return self._because("same words") if a and a == b else self._no("different words")

    def _quantities(self, gold: Node, prediction: Node) -> bool:
        gold_unit = gold.unit if isinstance(gold, Quantity) else ""
        unit = prediction.unit if isinstance(prediction, Quantity) else ""
        a = gold.value if isinstance(gold, Quantity) else gold
        b = prediction.value if isinstance(prediction, Quantity) else prediction
        if not gold_unit or not unit:
            if self._values(a, b):
                return True
            if gold_unit == "%":
                return self._values(Mul((a, Num(Fraction(1, 100)))), b)
            return unit == "%" and self._values(a, Mul((b, Num(Fraction(1, 100)))))
        if (factor := conversion(unit, gold_unit)) is None:
            return self._no(f"unit {unit} against {gold_unit}")
        return self._values(a, b if factor == 1 else Mul((b, Num(factor))))

    def _based(self, gold: Node, prediction: Node) -> bool:
        """Same base and value; base ten may go unwritten."""
        a, b = based_value(gold), based_value(prediction)
        if a is None or b is None:
            return self._no("digits in a base against another kind of answer")
        return self._because("same digits") if a == b else self._no("different number or base")

    def _sets(self, gold: Node, prediction: Node) -> bool:
        for a, b in ((gold, prediction), (prediction, gold)):
            if isinstance(a, Seq) and a.kind == "bare" and not isinstance(b, Seq) and all(map(is_set_like, a.items)):
                joined = SetOp("union", a.items)
                return self._sets(joined, b) if a is gold else self._sets(b, joined)
        set_a, set_b = real_set(gold), real_set(prediction)
        if set_a is not None and set_b is not None:
            if set_a.variable and set_b.variable and set_a.variable != set_b.variable:
                return self._no("different variables")
            if len(set_a.pieces) != len(set_b.pieces):
                return self._no("different sets")
            for p, q in zip(set_a.pieces, set_b.pieces, strict=True):
                if (p.lo_open, p.hi_open) != (q.lo_open, q.hi_open):
                    return self._no("an end point belongs to one set only")
                if not (self._ends(p.lo, q.lo) and self._ends(p.hi, q.hi)):
                    return self._no("different end points")
            return self._because("same set of reals")
        if isinstance(gold, Interval | Seq) and isinstance(prediction, Interval | Seq):
            ends_a, ends_b = brackets(gold), brackets(prediction)
            if ends_a is None or ends_b is None or ends_a[2:] != ends_b[2:]:
                return self._no("different brackets")
            return self._values(ends_a[0], ends_b[0]) and self._values(ends_a[1], ends_b[1])
        if isinstance(gold, SetOp) and isinstance(prediction, SetOp) and gold.op == prediction.op:
            if gold.op == "minus":
                return all(self._values(a, b) for a, b in zip(gold.items, prediction.items, strict=False))
            return self._unordered(gold.items, prediction.items)
        if isinstance(gold, Rel) and isinstance(prediction, Rel):
            return self._relations(gold, prediction)
        return self._no("different kinds of sets")

    def _ends(self, a: Node, b: Node) -> bool:
        x, y = real_value(a), real_value(b)
        if x is not None and y is not None and (math.isinf(x) or math.isinf(y)):
            return x == y
        return self._values(a, b)

    def _matrices(self, gold: Node, prediction: Node) -> bool:
        a, b = rows(gold), rows(prediction)
        if a is None or b is None or [len(r) for r in a] != [len(r) for r in b]:
            return self._no("different shapes")
        pairs = [(x, y) for r, s in zip(a, b, strict=True) for x, y in zip(r, s, strict=True)]
        return all(self._values(x, y) for x, y in pairs) and self._because("equal entries")

    def _sequences(self, gold: Node, prediction: Node) -> bool:
        a = gold if isinstance(gold, Seq) else Seq("bare", (gold,))
        b = prediction if isinstance(prediction, Seq) else Seq("bare", (prediction,))
        if len(b.items) == 1 and b.kind == "bare" and isinstance(b.items[0], Seq):
            b = b.items[0]
        if len(a.items) > MAX_ITEMS or len(b.items) > MAX_ITEMS:
            return self._no(f"more than {MAX_ITEMS} items")
        kinds = {a.kind, b.kind}
        tuples = all(isinstance(x, Seq) and x.kind == "()" for x in (*a.items, *b.items))
        if kinds == {"set"} or (kinds == {"bare"} and tuples):
            return self._covers(a.items, b.items) and self._covers(b.items, a.items)
        if len(a.items) != len(b.items):
            return self._no("different numbers of items")
        if "set" in kinds and kinds & {"()", "[]"}:
            return self._no("a set against an ordered list")
        if kinds in ({"()", "[]"}, {"bare", "[]"}) and len(a.items) == 2:
            return self._no("different brackets")
        if "set" in kinds or kinds == {"bare"}:
            labels = [split_label(x)[0] for x in a.items], [split_label(x)[0] for x in b.items]
            one_sided = (None in labels[0]) != (None in labels[1])
            distinct = len({*map(repr, labels[0])}) > 1 or len({*map(repr, labels[1])}) > 1
            if not (one_sided and distinct):
                return self._unordered(a.items, b.items)
        return all(self.same(x, y) for x, y in zip(a.items, b.items, strict=True)) and self._because("equal items")

    def _unordered(self, gold: tuple[Node, ...], prediction: tuple[Node, ...]) -> bool:
        rest = list(prediction)
        if len(gold) != len(rest):
            return self._no("different numbers of items")
        for item in gold:
            match = next((k for k, other in enumerate(rest) if self.same(item, other)), None)
            if match is None:
                return self._no("an item without a partner")
            rest.pop(match)
        return self._because("equal items in some order")

    def _covers(self, a: tuple[Node, ...], b: tuple[Node, ...]) -> bool:
        return all(any(self.same(x, y) for y in b) for x in a)

    # ---- expressions
