"""Task families: our own, by name. reasoning-gym's are in `gym`."""

from tasks.curate.families import algebra, arithmetic, code, instructions, lists, logic, safety, words
from tasks.curate.families.draft import Draft, Family, Line, Pad

FAMILIES: dict[str, Family] = {
    family.name: family
    for module in (arithmetic, algebra, lists, logic, words, code, instructions, safety)
    for family in module.FAMILIES
}

__all__ = ["FAMILIES", "Draft", "Family", "Line", "Pad"]
