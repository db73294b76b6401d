# ruff: noqa: E501 one template, site or problem a line
"""German: word lists and sentence templates."""

from __future__ import annotations

from tasks.sample_crawl.grammar import Grammar

WORDS = {
    "c_algebra": "die Untergruppe|der Körper|das Ideal|der Homomorphismus|die Faktorgruppe|das Minimalpolynom|der Ring|die Nebenklasse",
    "c_calculus": "die Ableitung|der Grenzwert|die Stammfunktion|das Integral|die Reihe|der Zwischenwertsatz|die Folge|der Konvergenzradius",
    "c_linear": "die Basis|der Eigenwert|die Determinante|der Kern|das Skalarprodukt|der Rang|die Abbildungsmatrix|der Untervektorraum",
    "c_statistics": "der Erwartungswert|die Varianz|die Stichprobe|das Konfidenzintervall|die Nullhypothese|der Schätzer|die Dichte"
    "|die Verteilungsfunktion|das Quantil|der zentrale Grenzwertsatz",
    "c_numbers": "die Primzahl|der größte gemeinsame Teiler|die Restklasse|der kleine Satz von Fermat|die Teilbarkeit|die Kongruenz"
    "|der euklidische Algorithmus|das quadratische Reziprozitätsgesetz",
    "c_geometry": "der Umkreis|die Winkelhalbierende|das Sehnenviereck|der Höhensatz|die Mittelsenkrechte|der Strahlensatz|die Tangente"
    "|das gleichschenklige Dreieck",
    "c_counting": "das Schubfachprinzip|der Binomialkoeffizient|die Rekursion|die Permutation|die Abzählung|die erzeugende Funktion"
    "|der Graph|die Bijektion",
    "verb": "bestimmt|beschränkt|beschreibt|liefert|ersetzt|verallgemeinert|charakterisiert|vereinfacht",
    "adj": "einfach|klassisch|nützlich|wichtig|bekannt|überraschend|elementar|anschaulich",
    "who": "Gauß|Euler|Hilbert|Noether|Dedekind|Cantor|Weierstraß|Riemann|Kummer|Jacobi",
    "person": "Lena|Paul|Mia|Jonas|Emma|Finn|Clara|Ben|Ida|Moritz|Greta|Anton|Frieda|Emil",
    "thing": "Äpfel|Murmeln|Karten|Hefte|Stühle|Münzen|Kugeln|Bausteine|Briefmarken|Kekse|Bücher",
    "city": "Kassel|Bremen|Ulm|Graz|Basel|Rostock|Mainz|Erfurt|Linz|Trier|Leipzig|Kiel|Bonn|Halle",
    "team": "der SV Nordheim|die Adler|der FC Talstadt|die Eintracht|die Wölfe|der TSV Seeburg|die Löwen|Rot-Weiß",
    "product": "Wanderschuhe|Schreibtischlampe|Espressokocher|Regenjacke|Gusspfanne|Bürostuhl|Kopfhörer|Gartenschlauch|Rucksack"
    "|Wasserkocher|Wolldecke|Werkzeugset|Brotmesser|Fahrradlicht",
    "material": "Eiche|Edelstahl|Baumwolle|Merinowolle|Aluminium|Bambus|Leinen|Glas|Leder|Kork|Keramik",
    "color": "Grau|Marine|Oliv|Creme|Anthrazit|Rost|Petrol|Sand|Weiß|Senf",
    "food": "Mehl|Zucker|Butter|Zwiebeln|Linsen|geriebenen Käse|Haferflocken|Olivenöl|Honig|Tomaten|Zitronensaft|Sahne|Möhren|Quark",
    "dish": "Linsensuppe|Apfelkuchen|Kartoffelgratin|Zwiebelkuchen|Gulasch|Pfannkuchen|Möhrenkuchen|Pflaumenmus|Gemüseauflauf",
    "firm": "Nordwind Bank|Halden AG|Kastor Energie|Orion Spedition|Linden Motoren|Aster Handel|Polar Reederei|Gipfel Versicherung",
    "day": "Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag", "month": "Januar|Februar|März|April|Mai|Juni|September|Oktober",
    "place": "am Bahnhof|am Marktplatz|am Rathaus|im Stadtpark|an der alten Brücke|im Museum|am Hafen|in der Bücherei|im Freibad",
    "issue": "den Hochwasserschutz|die Buspreise|die Radwege|den Wohnungsbau|die Müllabfuhr|die Parkplätze|das Sommerfest|die Schule"
    "|das Krankenhaus|die Straßenbeleuchtung",
    "nav": "Startseite|Über uns|Kontakt|Archiv|Suche|Anmelden|Hilfe|Themen|Datenschutz|Impressum|Termine|Bibliothek",
    "room": "A 101|B 207|Audimax|C 310|Hörsaal 3|W 114",
}  # fmt: skip
POOLS = {
    "expo": """
[Sei|Es sei] {f} und gelte {f}; dann {verb} {c} das Verhalten von {f}.
[Bekanntlich|Offenbar|Wie wir wissen] ist {c} genau dann [definiert|eindeutig], wenn {f} gilt.
[Außerdem|Ferner|Darüber hinaus] folgt {f}, und damit {verb} {c} den Fall {f}.
Nach einem Satz von {who} existiert {c}, [falls|sobald|sofern] {f}.
An dieser Stelle wird {c} gebraucht, denn ohne {f} wäre die Aussage falsch.
[Zu jedem|Für jedes] {f} gibt es ein {f}, so dass {f} erfüllt ist; hier hilft {c}.
Beispiel {n}: Für {f} rechnet man leicht {f} nach, und {c} ist {adj}.
[Umgekehrt|Andererseits] ist {c} nicht {adj}, wenn {f} verletzt ist.
Im Jahr {year} zeigte {who}, dass {c} auch für {f} sinnvoll bleibt.
Setzt man {f} ein, so [erhält man|ergibt sich|bekommt man] {f}, wie behauptet.
Man verwechsle nicht: {c} ist {adj}, während {c} nur von {f} abhängt.
Die [folgende|nächste] Definition ist {adj}: {c} heißt ausgeartet, wenn {f} gilt.
Aufgabe {n}. [Zeigen Sie|Beweisen Sie], dass {c} durch {f} gegeben ist, und skizzieren Sie den Fall {f}.
Für die Klausur merke man sich, dass {c} und {c} durch {f} verbunden sind.
""",
    "proof": """
Angenommen, {f}; dann wäre {c} {adj}, Widerspruch zu {f}.
Mit Induktion über {f} sieht man, dass {c} existiert und {f} gilt.
Daraus folgt {f}, und {c} liefert die [Behauptung|Ungleichung|Abschätzung].
Ohne Einschränkung sei {f}, sonst vertauschen wir die Rollen, und {c} bleibt gleich.
Es bleibt der Fall {f}; hier {verb} {c} alles Weitere.
Addiert man beide Gleichungen, so bleibt {f} übrig, und {c} verschwindet.
""",
    "problem": """
{person} hat {m} {thing} und verschenkt an {n} Freunde je {d}; wie viele bleiben übrig?
Bestimme alle [ganzen|natürlichen|reellen] Zahlen mit {f} und begründe, warum es keine weiteren gibt.
In einer Urne liegen {n} rote und {n} blaue {thing}; [zwei|drei] werden ohne Zurücklegen gezogen. Wie wahrscheinlich sind gleiche Farben?
Wie viele Möglichkeiten gibt es, {n} Schüler auf {n} Plätze zu verteilen, wenn {person} nicht neben {person} sitzen will?
Berechne {f} und zeige, dass {c} dabei {adj} ist.
Ein Zug fährt um {hour} in {city} mit {n} Kilometern pro Stunde los; wann trifft er den Zug aus {city}?
Beweise: Unter je {n} Zahlen gibt es zwei, für die {f} gilt.
Die Seiten eines Dreiecks messen {n}, {n} und {n}; wie groß ist der Flächeninhalt, und wo liegt {c}?
Eine Tabelle zeigt {n} Messwerte mit dem Mittel {pct}; wie ändert sich {c}, wenn ein Wert um {d} wächst?
""",
    "ask": """
Ich komme bei dieser Aufgabe nicht weiter: {c} soll {f} erfüllen, aber ich finde nur {f}.
Warum darf man {f} annehmen? Im Skript steht nur, dass {c} [klar|trivial|offensichtlich] sei.
Mein Ansatz war {f}, doch dann stört {c}.
Gibt es einen Weg ohne {f}, also nur über die Idee, dass {c} {adj} ist?
Die Musterlösung sagt {n}, ich bekomme immer {n} heraus.
""",
    "answer": """
Tipp: Überlege, was {c} bedeutet, wenn {f} gilt.
Dein Fehler liegt in Zeile zwei, denn {f} gilt nur für {f}.
Wie {person} schon schrieb, ist {c} hier {adj}, also {f}.
Ja, und ein Gegenbeispiel wäre {f}; probiere es mit {n} und {n}.
Der Trick ist, dass {c} von allein {f} erzwingt.
Danke, jetzt verstehe ich, warum {c} {adj} ist!
""",
    "shop": """
Unsere [neuen|beliebten] {product} in {color} aus {material} gibt es jetzt für {price} € statt {price} €.
Versand nach {city} kostet {price} €, ab {n} € Bestellwert liefern wir frei Haus.
Gewicht {n} g, Höhe {n} cm, Artikelnummer {m}, Material {material} und {material}.
{person} aus {city} schreibt: "Seit {n} Monaten im Einsatz, {product} und Kundendienst sind spitze."
Rückgabe innerhalb von {n} Tagen, das Geld ist in {d} Werktagen auf dem Konto.
Dazu passt: {product} in {color} für {price} €, noch {n} Stück auf Lager.
""",
    "sports": """
In {city} gewann {team} am {day} mit {n} zu {n}, es war der {d}. Sieg in Folge.
{person} traf in der {n}. Minute, nachdem {team} lange geführt hatte.
Vor {big} Zuschauern sah {team} gleich {d} gelbe Karten.
In der Tabelle liegt {team} nun mit {n} Punkten auf Platz {d}.
Trainer {person} lobte die Abwehr, die seit {month} nur {d} Tore zuließ.
Karten für das Spiel am {day} um {hour} Uhr gibt es ab {n} Euro.
""",
    "finance": """
{firm} steigerte den Umsatz um {pct} Prozent auf {pct} Milliarden Euro.
Die Aktie von {firm} verlor {pct} Prozent und notierte in {city} bei {price} Euro.
Die Notenbank beließ den Leitzins bei {pct} Prozent, die Teuerung lag bei {pct} Prozent.
Bis {month} will {firm} in {city} {m} Stellen streichen.
Ein Kredit über {big} Euro zu {pct} Prozent kostet {m} Euro im Monat.
Analystin {person} erwartet für {year} eine Dividende von {price} Euro.
""",
    "recipe": """
{n} g {food} mit 1/2 Liter Wasser verrühren und {d} Esslöffel {food} zugeben.
Den Ofen auf {m} Grad vorheizen und {dish} {n} Minuten backen.
Für {d} Personen, Zubereitung {n} Minuten; statt {food} geht auch {food}.
Meine Oma aus {city} machte {dish} immer am {day} mit {food}.
{food} und {food} kurz anbraten, dann 3/4 der Menge {food} unterheben.
Im Kühlschrank hält {dish} etwa {d} Tage.
""",
    "admin": """
Die Klausur Analysis {d} findet am {n}. {month} um {hour} Uhr in Raum {room} statt.
Die Anmeldung zu Statistik und Lineare Algebra {d} ist ab {day} im Studienbüro möglich.
Sprechstunde von Frau Professor {who}: {day} {hour} Uhr, Raum {room}.
Das mathematische Institut schließt am {day} wegen Bauarbeiten {place}.
Wir suchen eine Hilfskraft für {n} Stunden im Monat; Bewerbung bis {n}. {month}.
Das Seminar über Zahlentheorie entfällt, das Kolloquium ist in {room}.
""",
    "news": """
Der Stadtrat von {city} stimmte am {day} mit {n} zu {d} für {issue}.
Anwohner {place} ärgern sich über {issue} und sammelten {m} Unterschriften.
"Darauf warten wir seit {d} Jahren", sagte {person} {place}.
Nach dem Regen sperrte die Feuerwehr in {city} eine Straße {place}.
Eine Umfrage unter {m} Bürgern zeigt, dass {n} Prozent {issue} wichtig finden.
Die Bürgermeisterin will im {month} {place} über {issue} sprechen.
Kritiker verweisen auf {city}, wo man {issue} schon {year} geregelt hat.
""",
    "t_math": "[Skript|Vorlesung {d}|Kapitel {d}|Übungsblatt {n}]: {c}\nGrundlagen: {c} und {c}",
    "t_ask": "Frage: Warum ist {c} {adj}?\nWie hängen {c} und {c} zusammen?",
    "t_problem": "Aufgaben der Woche {n}: {c}\nMathematik-Wettbewerb {year}, Runde {d}",
    "t_shop": "{product} aus {material}, {color}",
    "t_sports": "Spielbericht: {team} in {city}",
    "t_finance": "{firm}: Zahlen für {month}",
    "t_recipe": "Rezept: {dish} mit {food}",
    "t_admin": "Klausurtermine {month} {year}",
    "t_news": "{city} streitet über {issue}",
    "cookie": "Wir verwenden Cookies, um unsere Seite zu verbessern; hier können Sie zustimmen oder ablehnen.",
    "footer": "Alle Rechte vorbehalten {year}, Redaktion {city}. Impressum, Datenschutz und Nutzungsbedingungen.",
    "newsletter": "Abonnieren Sie unseren Newsletter und sparen Sie {n} Prozent beim nächsten Besuch am {day}.",
}
DE = Grammar("de", WORDS, POOLS)
