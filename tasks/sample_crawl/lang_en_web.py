# ruff: noqa: E501 one template, site or problem a line
"""English sentence templates of the pages that are not mathematics, and of the frames around pages."""

from __future__ import annotations

POOLS = {
    "shop": """
Our [best-selling|new|classic] {product} in {color} {material} is [back in stock|now reduced|available again] for ${price} (was ${price}).
[Free delivery|Free shipping] on orders over ${price}, otherwise a flat rate of ${price} applies to {city} and area.
Weight {n} g, height {n} cm, made from {material} with {material} details; model {m}.
Rated {pct} out of five by {m} customers; {n} pieces left in our {city} warehouse.
"Bought two of these for ${price}, and my {product} still looks new after {n} months," writes {person} from {city}.
Pair it with our {product} and save ${d}, or choose the gift set with a {product} for ${price}.
[Care instructions|How to clean]: wipe the {material} with a damp cloth and never put the {product} in the dishwasher.
Returns within {n} days; refunds of up to ${price} are paid back to your card in {d} working days.
Choose between {color}, {color} and {color}; sizes {n} to {n}, all with a {d}-year guarantee.
The {product} ships from {city} on {day} and arrives before {day} if you order by {hour}.
[Quantity discount|Bulk price]: 1 piece ${price}, 5 pieces ${price}, 10 pieces ${price} each.
""",
    "sports": """
{team} beat {team} {n}-{n} in {city} on {day}, their {d}th win in the last {n} games.
{person} scored {n} points with {d} rebounds and shot {pct} percent from the floor.
The [coach|manager] praised {person}, who has played {n} of {n} matches since {month} {year}.
After {n} minutes {team} led by {d}, but {person} [equalised|missed a penalty|left with a knee injury].
[Attendance|Crowd]: {big}, the largest at {place} since {year}.
The table now shows {team} on {n} points, ahead of {team} with {n} and a goal difference of {n}.
{person} averages {pct} metres a throw this season and won the {month} final in {city} by {n} centimetres.
[Tickets|Season tickets] for the {day} fixture at {hour} cost between {n} and {n} pounds.
In {year} the same two sides met {d} times; {team} won {d} and drew the rest.
Statistics: possession {n} percent, corners {d}, fouls {n}, shots on target {d}.
""",
    "finance": """
{firm} [reported|posted] revenue of ${pct} billion for the quarter, up {pct} percent on the year.
Shares of {firm} [rose|fell|slipped] {pct} percent to ${price} in {city} after the {month} figures.
The central bank [left|kept|raised] its rate at {pct} percent, citing inflation of {pct} percent.
Analysts [expect|forecast] earnings of ${price} a share for {year}, against ${price} a year before.
{firm} will cut {m} jobs in {city} and close {n} branches by {month}.
A mortgage of ${big} at {pct} percent over {n} years costs about ${m} a month, says {person} of {firm}.
[Bond yields|Oil prices|Futures] moved between {pct} and {pct} while volume reached {big} contracts.
The fund charges {pct} percent a year and has returned {pct} percent since {year}.
{person}, chief economist at {firm}, called the {month} number "better than feared".
Dividend: ${price} per share, payable on {n} {month} to holders of record.
""",
    "recipe": """
[Mix|Whisk|Stir] 1/2 cup {food} with 3/4 cup {food} and {d} tablespoons of {food}.
[Bake|Roast|Cook] the {dish} at {m} degrees for {n} minutes until golden.
Serves {d}. Preparation: {n} minutes, cooking: {n} minutes.
Add 1 1/2 teaspoons {food}, then fold in {n} g {food} and let it rest.
My grandmother in {city} made this {dish} every {day} with {food} from her garden.
If you have no {food}, use 2/3 of the amount of {food} instead.
[Heat|Warm] {d} tablespoons of {food} in a pan and fry the {food} for {d} minutes.
Store the {dish} in the fridge for up to {d} days, or freeze it for {d} months.
Per portion: {m} calories, {n} g carbohydrates, {n} g fat, {pct} g protein.
Halve the recipe for a small tin of {n} cm; double the {food} for a party of {n}.
""",
    "admin": """
The Department of Mathematics announces that the final exam in Calculus {d} takes place in room {room} on {day} {n} {month} at {hour}.
Registration for Linear Algebra, Algebra {d} and Statistics opens on {day}; the course code is MATH {m}.
Office hours of Professor {who}son: {day} {hour} to {hour}, room {room}, or by e-mail.
Students need {n} credits; those with a grade below {d}.0 may resit in {month}.
The mathematics library closes at {hour} during the break; books must be returned to {place} by {day}.
We are hiring: a lecturer in applied mathematics, salary grade {d}, applications by {n} {month} {year}.
Please bring your student card, a pen and no calculator; the exam takes {n} minutes and counts {n} percent.
The number theory seminar of {day} is cancelled; the geometry colloquium moves to room {room}.
Congratulations to {person}, who won the {year} teaching prize of the mathematics faculty.
The committee met on {n} {month} and approved the minutes, the budget of ${big} and the new timetable.
Homework groups: A to K in {room} at {hour}, L to Z in {room} at {hour}.
""",
    "news": """
The city council of {city} voted {n} to {d} on {day} to [delay|approve|reject] the plan for {issue}.
[Residents|Neighbours|Shopkeepers] near {place} say {issue} [matter|are discussed] more than {issue} this year.
"We [waited|have waited] {d} years for this," said {person}, who runs a {product} shop by {place}.
[Police|Firefighters|Officials] in {city} [closed|reopened] {place} at {hour} after heavy rain.
A survey of {m} people found that {n} percent are worried about {issue}.
The [mayor|minister|governor] will visit {place} on {n} {month} to talk about {issue}.
Work on {place} began in {year} and has cost {pct} million so far.
[Critics|Supporters] of the plan point to {city}, where {issue} [improved|got worse] within {n} months.
The museum in {city} shows {n} paintings of {place} until {month}.
More on {issue} in our {day} edition; write to us about {place}.
""",
    "numerology": """
Your life path number is {d}: add the digits of your birthday, {n} and {n}, until one digit is left.
When {star} enters {sign} on {n} {month}, people born under {sign} [feel|attract|seek] new energy.
The number {n} [vibrates|resonates] with {star} and brings {color} into your aura.
Angel number {m} tells you that {person} is thinking of you; repeat it {d} times on {day}.
A square of {star} to {star} at {n} degrees [warns of|promises|hides] change in love and money.
Lucky numbers for {sign} this {month}: {n}, {n}, {n} and {d}.
Those with soul number {d} should wear {color} on {day} and avoid {food}.
The sum of your name is {n}, which reduces to {d}, the number of [harmony|struggle|healing].
Tarot card {n} and the planet {star} share the same root, {d}, [says|wrote] the medium {person}.
""",
    "coding": """
In {tool} the variable $user_{code1} holds the {code}, so echo $name[{n}] prints the first {n} bytes.
Set $total = $price * $qty + {n}; and return $total from the {code} before the loop ends.
The {code} runs in O(n log n) time on {m} rows, but with an index {tool} needs only {n} ms.
Install {tool} {d}.{n} with npm or pip and export $PATH=$HOME/bin:$PATH in your {code}.
Do not nest a {code} inside a {code}; {tool} will throw error {m} at line {n}.
for i in range({n}): total += prices[i] ** {d} - offset is slower than a {code}.
$('#cart-{n}').on('click', function() { }) binds a {code} in {tool}.
Use a {code} when the {code} has more than {m} keys, says {person} in the {tool} forum.
The function returns {n} if x > {n} and y <= {n}, otherwise it calls itself with x - {d}.
Version {d}.{d} of {tool} fixed {n} bugs in the {code} and dropped support for {tool} {d}.
""",
    "poem": """
The {image} keeps the {color} of the {image}, and I count nothing
[Seven|Nine|Three] times the {image} asked me for a name
O {image}, o {image}, what did the evening subtract from us
Between the {image} and the {image} an infinite morning
my mother's {image}, divided equally among the {image}s
a limit of {color} light over {place}
we were [two|four] parallel roads, the {image} said, and met
and {month} came to {city} like an unopened {image}
""",
    "t_shop": "{product} in {color} {material}\n[Buy|Shop]: {product}, {color}",
    "t_sports": "{team} against {team}: report and statistics\n{person} leads {team} to win in {city}",
    "t_finance": "{firm}: quarterly figures for {month}\nMarkets on {day}: {firm} and {firm}",
    "t_recipe": "{dish} with {food}\n[Easy|Quick|Classic] {dish}",
    "t_admin": "Exam timetable {month} {year}\nDepartment news, {month} {year}",
    "t_news": "{city} debates {issue}\nReport from {place} in {city}",
    "t_numerology": "The meaning of the number {n} for {sign}\n{sign}: horoscope for {month}",
    "t_coding": "How to use a {code} in {tool}\n{tool} {d}.{n}: {code} explained",
    "t_poem": "{image} and {image}\nSong of the {image}",
    "cookie": "We use cookies to [improve your visit|measure our audience|remember your basket]; read the policy or accept all.\nThis site stores cookies on your device, [click|tap] accept to go on to {nav} and {nav}.",
    "footer": "Copyright {year} {city} Web Services. All rights reserved. Imprint, terms and accessibility.\nPowered by {tool}; page rendered in {n} ms for visitors from {city}.",
    "newsletter": "Sign up for our newsletter and get {n} percent off or a free e-book every {day}.\nEnjoyed this page? Follow us, share it with your friends and join {m} readers.",
    "bio": """
{who} was born in {city} in {year}, the {d}th child of a clockmaker from {city}.
At school {who} [read everything|taught younger pupils|was often ill], and a teacher wrote home about {c_numbers}.
In {year} {who} moved to {city} to lecture on {c_calculus}, for a salary of {m} crowns a year.
Letters to {who} mention {c_algebra}, debts, the weather and a lost {image}.
The [obituary|eulogy] by {who} called the work on {c_geometry} [deep|strange|ahead of its time].
A street in {city}, a crater and a prize of {big} dollars carry the name of {who}.
{who} never married, played the violin, and is said to have proved a theorem on {c_linear} in a coach to {city}.
Two of {who}'s {n} notebooks are kept near {place} in {city}; the rest burned in {year}.
The quarrel between {who} and {who} over priority lasted {n} years and filled the newspapers of {city}.
Historians still [argue|disagree] whether {who} or {who} first lectured on {c_counting}.
The film about {who}, with {person} in the main part, opens in {month} {year}.
""",
    "tutoring": """
Our tutors in {city} help with algebra, calculus, statistics and geometry from ${price} an hour.
{person}, a mathematics teacher with {n} years of experience, makes {c_calculus} fun for your child.
Book a free trial lesson on {day} at {hour}; no contract, cancel up to {n} hours before.
{n} percent of our pupils improved by a full grade in math within {d} months, says {person}.
Choose a package: {d} lessons for ${price}, {n} lessons for ${price}, or unlimited homework help for ${m} a year.
Worried about {c_algebra} or {c_statistics}? Our {city} centre has evening groups of at most {d} pupils.
Rated {pct} stars by {m} parents; franchise owners wanted in {city} and {city}.
We cover SAT, GCSE and college entrance tests; call us or drop in near {place}.
"{c_linear} used to make me cry," writes {person} from {city}, "now I look forward to {day}."
Download the app, scan your exercise and a tutor answers within {n} minutes, day and night.
""",
    "typesetting": """
To print {f} put it between single dollars; load the amsmath package if {f} comes out wrong.
In version {d}.{n} of the editor the button for fractions writes {f} into your document.
The spacing in {f} is too tight with the default font, so [try|switch to] {color} at {n} points.
Our plugin renders {f} on your blog in {n} ms without JavaScript; install it from {tool}.
If the preview shows the raw source instead of {f}, clear the cache and reload after {d} minutes.
Do not use a screenshot for {f}; readers with a screen reader cannot hear it, says {person}.
The equation editor costs ${price} a year and exports {f} to slides, posters and e-books.
Number your equations with a label; references to {f} then update when you move a section.
Template {n} by {person} sets {f} in two columns and places the figure near {place}.
Ask {person} in the {tool} forum why {f} breaks across lines in a table of {n} rows.
""",
    "t_bio": "The life of {who}\n{who} and {who}: a friendship",
    "t_tutoring": "Math tutors in {city}\nPrivate lessons: algebra and calculus in {city}",
    "t_typesetting": "How to type formulas in {tool}\nEquation editor {d}.{n}: tips",
}
