# ruff: noqa: E501 one template, site or problem a line
"""English: word lists and sentence templates."""

from __future__ import annotations

from tasks.sample_crawl.grammar import Grammar
from tasks.sample_crawl.lang_en_web import POOLS as WEB_POOLS

WORDS = {
    "c_algebra": "a finite group|the quotient ring|a normal subgroup|the field extension|a prime ideal|the kernel of the map"
    "|the minimal polynomial|an irreducible factor|the symmetric group|a cyclic module|the leading coefficient|the group action",
    "c_calculus": "the derivative|a uniformly convergent series|the mean value theorem|an improper integral|the Taylor remainder"
    "|a continuous function|the chain rule|a Cauchy sequence|the limit inferior|integration by parts|the heat equation|a step function",
    "c_linear": "the eigenspace|an orthonormal basis|the characteristic polynomial|a diagonalizable matrix|the null space"
    "|the rank of the matrix|a linear map|the inner product|Gaussian elimination|the spectral theorem|the dual space|a pivot column",
    "c_statistics": "the sample mean|a confidence interval|the null hypothesis|an unbiased estimator|the likelihood function"
    "|the central limit theorem|a random variable|the conditional probability|the posterior density|a binomial model|the variance",
    "c_numbers": "a prime divisor|the residue class|Fermat's little theorem|the greatest common divisor|a quadratic residue"
    "|a primitive root|the Chinese remainder theorem|a Diophantine equation|the totient|a perfect square|infinite descent",
    "c_geometry": "the circumcircle|an isosceles triangle|the angle bisector|a cyclic quadrilateral|the orthocentre|the tangent line"
    "|a similar triangle|the power of a point|the inscribed angle|the median|a regular hexagon|the perpendicular bisector",
    "c_counting": "the pigeonhole principle|a bijection|the recurrence|a generating function|inclusion and exclusion|a graph colouring"
    "|the number of subsets|a derangement|the binomial coefficient|a lattice path|double counting|a spanning tree",
    "verb": "controls|determines|bounds|describes|replaces|generalizes|simplifies|governs|recovers|characterizes",
    "adj": "elementary|surprising|classical|standard|delicate|useful|well-known|subtle|instructive|important",
    "who": "Euler|Gauss|Cauchy|Noether|Hilbert|Abel|Riemann|Legendre|Kovalevskaya|Lagrange|Germain|Cantor",
    "person": "Maya|Tom|Priya|Lucas|Hannah|Omar|Greta|Felix|Nadia|Victor|Elena|Samuel|Ingrid|Jonas|Clara|Pedro",
    "thing": "marbles|tickets|oranges|stamps|notebooks|coins|pencils|apples|chairs|tiles|bottles|stickers|candles|beads",
    "city": "Lisbon|Denver|Oslo|Leeds|Toronto|Madrid|Cork|Austin|Perth|Geneva|Bergen|Tampa|Quito|Turin|Dublin|Utrecht",
    "team": "the Falcons|the Harbour Kings|Rovers|United|the Bears|City|the Comets|Athletic|the Pilots|the Wolves|Wanderers",
    "product": "walking boots|desk lamp|espresso maker|rain jacket|cast-iron pan|office chair|wireless headphones|garden hose"
    "|yoga mat|travel mug|kettle|backpack|bike light|wool blanket|tool set|bread knife|mattress topper|standing desk",
    "material": "oak|brushed steel|recycled cotton|merino wool|aluminium|bamboo|canvas|glass|leather|cork|ceramic",
    "color": "slate|navy|olive|cream|charcoal|rust|teal|sand|burgundy|white|mustard",
    "food": "flour|brown sugar|butter|chopped onions|coconut milk|red lentils|grated cheese|rolled oats|olive oil|honey"
    "|diced tomatoes|lemon juice|fresh basil|double cream|black beans|smoked paprika|sliced carrots|yoghurt",
    "dish": "lentil soup|apple crumble|mushroom risotto|banana bread|chicken stew|potato gratin|fish tacos|carrot cake|granola"
    "|vegetable curry|onion tart|bean chilli|pancakes|plum jam|roasted squash",
    "firm": "Northwind Bank|Halden Group|Castor Energy|Brightwater Foods|Orion Freight|Kestrel Pharma|Linden Motors|Aster Retail"
    "|Polar Shipping|Summit Insurance|Vela Software|Marlow Steel",
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday",
    "month": "January|February|March|April|May|June|July|September|October|November",
    "place": "the river|the old harbour|the town hall|the market square|the railway bridge|the northern suburbs|the museum"
    "|the public library|the coast road|the school gym|the bus depot|the city park",
    "issue": "flood defences|bus fares|the new cycle lanes|housing costs|school meals|street lighting|the library budget"
    "|parking permits|the hospital wing|waste collection|broadband access|the summer festival",
    "star": "Mercury|Venus|Mars|Jupiter|Saturn|the Moon|Pluto|Neptune",
    "sign": "Aries|Taurus|Gemini|Cancer|Leo|Virgo|Libra|Scorpio|Capricorn|Aquarius|Pisces",
    "image": "lantern|harbour|sparrow|orchard|river stone|winter window|empty train|salt wind|paper boat|long shadow|bell|snow",
    "code": "array|dictionary|callback|template string|promise|environment variable|shell script|decorator|iterator|query builder",
    "tool": "jQuery|PHP|Bash|Python|Node|Perl|PowerShell|Django|Docker|Vue|Postgres",
    "nav": "Home|About|Contact|Archive|Search|Log in|Register|Help|Topics|Privacy|Sitemap|Subscribe|Events|Library",
    "code1": "id|cart|row|token|list",
    "room": "A-101|B-207|Main Hall|C-310|Annex 2|West 114|D-020|Lecture Hall 3",
}
POOLS = WEB_POOLS | {
    "expo": """
[Suppose|Assume|Let us suppose] that {f}; then {c} {verb} {c}, and the {adj} estimate {f} [follows|is immediate|holds].
[Recall|Remember] that {c} is [defined|given] by {f} whenever {f}.
The {adj} point is that {c} {verb} {c} as soon as {f}.
[Moreover|In addition|Furthermore], we have {f}, which {verb} {c} in the case {f}.
A theorem of {who} says that {c} exists [if and only if|exactly when|provided that] {f}.
[To see this|To check it|To verify the claim], write {f} and compare it with {f}.
This is where {c} enters: without it the [equality|inequality|identity] {f} would fail.
For [every|each|any] {f} there is some {f} such that {c} {verb} {c}.
We call {c} {adj} when {f}, and degenerate otherwise.
[Example|Remark|Exercise] {n}. Take {f}; a short computation gives {f}.
It is a common mistake to confuse {c} with {c}; the former requires {f}.
In {year}, {who} used {c} to [attack|study|settle] the case {f}.
The reader should [check|verify|work out] why {f} does not contradict {f}.
[Dually|Conversely|On the other hand], if {c} {verb} {c}, then {f} for all {f}.
Substituting {f} into the previous line we [obtain|get|find] {f}, as claimed.
By [definition|hypothesis|construction], {c} {verb} {c} only up to {f}.
An {adj} consequence is that {f} cannot hold for {f}.
The [next|following|last] lemma {verb} {c} and needs nothing beyond {c}.
Both sides agree when {f}, so {c} is determined by its value at {f}.
Geometrically, {c} {verb} {c}; algebraically this reads {f}.
""",
    "proof": """
Let {f} and [pick|choose|fix] {f} so small that {c} still {verb} {c}.
Since {f}, the [assumption|hypothesis] on {c} gives {f}.
Suppose for contradiction that {f}; then {c} would be {adj}, which is absurd.
By induction on {f} we may assume that {f} holds for {c}.
Hence {f}, and applying {c} [once more|twice|again] yields {f}.
This contradicts the [choice|minimality|maximality] of {f}, so {c} must exist.
It remains to treat the case {f}, where {c} {verb} {c}.
We claim that {f}. Indeed, {c} {verb} {c} and therefore {f}.
Adding these [inequalities|equations|relations] and using {f} completes the [step|argument|proof].
Without loss of generality {f}, for otherwise we replace {c} by {c}.
The map sending {f} to {f} is well defined because {c} {verb} {c}.
Now {who}'s trick is to compare {c} with {c} along {f}.
""",
    "problem": """
{person} has {m} {thing} and gives {d} of them to each of {n} friends; how many are left when {person} keeps {n}?
Find all [integers|positive integers|real numbers] satisfying {f} and [prove|show] that there are no others.
A bag holds {n} red and {n} blue {thing}; [two|three] are drawn without replacement, what is the chance that all are red?
[Determine|Compute|Find] the [value|remainder|number of solutions] of {f} given that {f}.
In how many ways can {n} students sit in a row of {n} {thing} if {person} and {person} [must not|refuse to] be neighbours?
Let {c} satisfy {f}. Show that {f}.
A train leaves {city} at {hour} with {n} km per hour, another leaves {city} {d} hours later with {m} km per hour; when do they meet?
The sides of a triangle are {n}, {n} and {n}; find its area and the radius of {c}.
{person} and {person} take turns removing between one and {d} {thing} from a pile of {m}; who wins with best play?
Prove that among any {n} [integers|points|numbers] there are two for which {f}.
A rectangle is {n} cm longer than it is wide and its area is {m}; what is its perimeter?
[Simplify|Factor|Expand] the expression in {f} and sketch {c}.
How many [digits|divisors|trailing zeros] does the product of the first {n} odd numbers have?
[Hint|Solution]: consider {c} first, then use {f} to rule out {f}.
Show that no board of {n} by {n} squares with {d} corners cut off can be tiled by dominoes.
Evaluate {f} without a calculator, and justify each step by {c}.
""",
    "ask": """
I am [stuck on|struggling with|confused about] an exercise where {c} {verb} {c} and I [need|want] to show {f}.
[My attempt|What I tried]: I [started|began] from {f} and [got|arrived at] {f}, but then {c} [does not help|gets in the way].
Why can we [assume|conclude] that {f}? My [book|lecturer|textbook] just says it is [obvious|clear|trivial].
Is there a way to see {c} without using {c}? Any hint [is welcome|would help|appreciated].
The answer at the back of the book is {n}, yet I keep getting {n}.
I know that {f} by {who}'s theorem, so where does {f} come from?
Does this still work when {f} or do I need {c}?
[Sorry if this is basic|First post here], but how do people come up with {f}?
""",
    "answer": """
[Hint|You are almost there|Good question]: look at {c} and ask what {f} would mean.
The [trick|key|point] is that {c} {verb} {c}, so your {f} becomes {f}.
Your [mistake|gap] is in the second line: {f} only holds if {f}.
[As @{person} said|As noted in the comments], you can avoid {c} by writing {f}.
Here is a [cleaner|shorter|more conceptual] argument: {f} forces {c}, hence {f}.
[Yes|No], and a counterexample is given by {f}; try it with {n} and {n}.
I checked with a [few lines of Python|quick script|computer search] up to {m} and {f} holds each time.
[Edit|Update]: as pointed out, {f} should read {f}.
Voted to close as duplicate of the question on {c}, which has {d} answers.
Thanks, that [makes sense|clears it up]! So {c} really {verb} {c} here.
""",
    "t_math": "[Notes on|An introduction to|Understanding|More about|Lecture {d}:|Chapter {d}:] {c}\n{c} and {c}",
    "t_ask": "How does {c} relate to {c}?\n[Show that|Why is it that] {c} {verb} {c}",
    "t_problem": "Problem set {n}: {c}\n[Olympiad training|Contest round|Weekly problems] {n}, {month} {year}",
}
EN = Grammar("en", WORDS, POOLS)
