# ruff: noqa: E501 one template, site or problem a line
"""French: word lists and sentence templates."""

from __future__ import annotations

from tasks.sample_crawl.grammar import Grammar

WORDS = {
    "c_algebra": "le sous-groupe|l'anneau quotient|l'idéal|le morphisme|le polynôme minimal|le corps|l'orbite|le groupe symétrique",
    "c_calculus": "la dérivée|la limite|la primitive|l'intégrale|la série|le théorème des valeurs intermédiaires|la suite|le rayon",
    "c_linear": "la base|la valeur propre|le déterminant|le noyau|le produit scalaire|le rang|la matrice de passage|l'espace dual",
    "c_statistics": "l'espérance|la variance|l'échantillon|l'intervalle de confiance|l'hypothèse nulle|l'estimateur|la densité|le quantile",
    "c_numbers": "le nombre premier|le plus grand commun diviseur|la congruence|le petit théorème de Fermat|l'algorithme d'Euclide"
    "|le résidu quadratique|la divisibilité|la descente infinie",
    "c_geometry": "le cercle circonscrit|la bissectrice|le quadrilatère inscrit|la médiatrice|le théorème de Thalès|la tangente"
    "|le triangle isocèle|l'orthocentre",
    "c_counting": "le principe des tiroirs|le coefficient binomial|la récurrence|la permutation|le dénombrement|la série génératrice"
    "|le graphe|la bijection",
    "verb": "détermine|majore|décrit|fournit|remplace|généralise|caractérise|simplifie",
    "adj": "facile|classique|utile|remarquable|standard|délicat|élémentaire|célèbre",
    "who": "Cauchy|Galois|Poincaré|Lagrange|Legendre|Hermite|Germain|Fourier|Cartan|Laplace",
    "person": "Camille|Louis|Inès|Hugo|Manon|Théo|Léa|Jules|Zoé|Karim|Anaïs|Marcel|Élise",
    "thing": "billes|pommes|cahiers|jetons|timbres|chaises|cartes|pièces|crayons|gâteaux|livres",
    "city": "Nantes|Dijon|Lille|Namur|Grenoble|Rennes|Lausanne|Metz|Tours|Québec|Nîmes|Brest|Pau",
    "team": "l'Olympique|le Racing|les Aigles|le Stade|l'Étoile|les Loups|le Sporting|l'Union",
    "product": "chaussures de marche|lampe de bureau|cafetière|veste de pluie|poêle en fonte|chaise de bureau|casque audio|sac à dos"
    "|bouilloire|couverture|couteau à pain|tuyau d'arrosage",
    "material": "chêne|acier brossé|coton|laine|aluminium|bambou|toile|verre|cuir|liège|céramique",
    "color": "gris|bleu marine|olive|crème|anthracite|rouille|sable|blanc|moutarde|bordeaux",
    "food": "farine|sucre roux|beurre|oignons|lentilles|fromage râpé|huile d'olive|miel|tomates|crème|carottes|basilic|yaourt",
    "dish": "soupe de lentilles|tarte aux pommes|gratin dauphinois|ratatouille|quiche|crêpes|gâteau aux noix|confiture de prunes",
    "firm": "Banque du Nord|Groupe Aldain|Castor Énergie|Orion Fret|Tilleul Motors|Aster Distribution|Polaire Maritime",
    "day": "lundi|mardi|mercredi|jeudi|vendredi|samedi", "month": "janvier|février|mars|avril|mai|juin|septembre|octobre",
    "place": "près de la gare|sur la place du marché|à la mairie|au musée|sur le vieux port|dans le parc|à la bibliothèque|au stade",
    "issue": "les pistes cyclables|le prix du bus|la cantine scolaire|le logement|les parkings|la fête d'été|l'hôpital|l'éclairage",
    "nav": "Accueil|À propos|Contact|Archives|Recherche|Connexion|Aide|Rubriques|Confidentialité|Plan du site|Agenda",
    "room": "A101|B207|amphi 3|C310|salle 12|D020",
}  # fmt: skip
POOLS = {
    "expo": """
[Soit|Supposons] {f} ; alors {c} {verb} ce qui se passe pour {f}.
[Rappelons|On sait] que {c} est bien défini dès que {f}.
[De plus|En outre|Par ailleurs], on a {f}, donc {c} {verb} le cas {f}.
D'après un théorème de {who}, {c} existe [si et seulement si|dès que|pourvu que] {f}.
C'est ici que {c} intervient, car sans {f} l'énoncé serait faux.
Pour tout {f} il existe {f} tel que {f} ; on reconnaît {c}.
Exemple {n}. Avec {f} on trouve facilement {f}, ce qui rend {c} {adj}.
[Réciproquement|Inversement], {c} n'est plus {adj} lorsque {f}.
En {year}, {who} montra que {c} garde un sens pour {f}.
En remplaçant {f} dans la ligne précédente, on [obtient|trouve] {f}.
Ne pas confondre : {c} est {adj}, tandis que {c} dépend de {f}.
Définition. On dit que {c} est dégénéré quand {f}.
Exercice {n}. [Montrer|Démontrer] que {c} {verb} {f}, puis traiter le cas {f}.
On retiendra pour l'examen que {c} et {c} sont liés par {f}.
""",
    "proof": """
Supposons par l'absurde que {f} ; alors {c} serait {adj}, ce qui contredit {f}.
Par récurrence sur {f}, on voit que {c} existe et que {f}.
On en déduit {f}, et {c} donne [la majoration|la conclusion|l'égalité].
Sans perte de généralité {f}, sinon on échange les rôles et {c} ne change pas.
Reste le cas {f}, où {c} {verb} tout le reste.
En additionnant les deux égalités il reste {f}, et {c} disparaît.
""",
    "problem": """
{person} possède {m} {thing} et en donne {d} à chacun de ses {n} amis ; combien en reste-t-il ?
Trouver tous les [entiers|entiers naturels|réels] vérifiant {f} et justifier qu'il n'y en a pas d'autres.
Une urne contient {n} {thing} rouges et {n} bleues ; on en tire [deux|trois] sans remise, quelle est la probabilité d'un tirage unicolore ?
De combien de façons peut-on asseoir {n} élèves sur {n} sièges si {person} refuse d'être à côté de {person} ?
Calculer {f} et vérifier que {c} est {adj}.
Un train quitte {city} à {hour} à la vitesse de {n} kilomètres par heure ; quand croise-t-il celui de {city} ?
Prouver que parmi {n} nombres il y en a toujours deux pour lesquels {f}.
Les côtés d'un triangle mesurent {n}, {n} et {n} ; déterminer son aire et placer {c}.
""",
    "ask": """
Je bloque sur cet exercice : {c} devrait donner {f}, mais je trouve {f}.
Pourquoi peut-on supposer {f} ? Le cours dit seulement que {c} est [évident|trivial|clair].
J'ai commencé par {f}, puis {c} me gêne.
Existe-t-il une méthode sans {f}, en utilisant juste que {c} est {adj} ?
Le corrigé annonce {n} alors que j'obtiens toujours {n}.
""",
    "answer": """
Indication : regarde ce que {c} devient quand {f}.
Ton erreur est à la deuxième ligne, car {f} exige {f}.
Comme l'a dit {person}, {c} est {adj} ici, donc {f}.
Oui, et un contre-exemple est {f} ; essaie avec {n} et {n}.
L'astuce est que {c} {verb} déjà {f}.
Merci, je comprends enfin pourquoi {c} est {adj} !
""",
    "shop": """
Nos [nouvelles offres|meilleures ventes] : {product} en {material}, coloris {color}, à {price} € au lieu de {price} €.
Livraison à {city} pour {price} €, offerte à partir de {n} € d'achat.
Poids {n} g, hauteur {n} cm, référence {m}, finition {material} et {material}.
{person}, de {city}, écrit : « Après {n} mois, toujours ravie de cet achat, {product} au top. »
Retour possible sous {n} jours, remboursement en {d} jours ouvrés.
À associer avec : {product} {color}, {price} €, plus que {n} en stock.
""",
    "sports": """
À {city}, {team} s'est imposé {n} à {n} {day} soir, sa {d}e victoire de rang.
{person} a marqué à la {n}e minute alors que {team} menait depuis longtemps.
Devant {big} spectateurs, {team} a reçu {d} cartons jaunes.
Au classement, {team} compte {n} points et occupe la {d}e place.
L'entraîneur a félicité {person}, absent depuis {month} pour blessure.
Billets pour {day} à {hour} : à partir de {n} euros.
""",
    "finance": """
{firm} a vu son chiffre d'affaires progresser de {pct} % à {pct} milliards d'euros.
L'action {firm} a cédé {pct} % et cotait {price} euros à {city}.
La banque centrale maintient son taux à {pct} %, l'inflation atteint {pct} %.
D'ici {month}, {firm} supprimera {m} postes à {city}.
Un prêt de {big} euros à {pct} % revient à {m} euros par mois.
L'analyste {person} prévoit pour {year} un dividende de {price} euros.
""",
    "recipe": """
Mélanger {n} g de {food} avec 1/2 litre d'eau et {d} cuillères de {food}.
Préchauffer le four à {m} degrés et cuire {dish} pendant {n} minutes.
Pour {d} personnes, préparation {n} minutes ; à défaut de {food}, prendre {food}.
Ma grand-mère de {city} préparait {dish} chaque {day} avec {food}.
Faire revenir {food} et {food}, puis ajouter les 3/4 de {food}.
Se conserve {d} jours au frais : {dish} se réchauffe très bien.
""",
    "admin": """
L'examen d'Analyse {d} aura lieu le {n} {month} à {hour}, {room}.
Les inscriptions en Algèbre {d} et Statistique ouvrent {day} au secrétariat.
Permanence de Madame {who} : {day} {hour}, {room}.
Le département de mathématiques sera fermé {day} ; travaux {place}.
Poste de vacataire, {n} heures par mois, candidature avant le {n} {month}.
Le séminaire de théorie des nombres est annulé, le colloque aura lieu en {room}.
""",
    "news": """
Le conseil municipal de {city} a voté {day} par {n} voix contre {d} sur {issue}.
Les riverains {place} protestent contre {issue} et ont réuni {m} signatures.
« Nous attendions cela depuis {d} ans », dit {person} {place}.
Après les pluies, une rue de {city} a été fermée {place}.
Selon une enquête auprès de {m} habitants, {n} % jugent {issue} prioritaire.
La maire viendra en {month} {place} parler de {issue} avec les écoles.
Les opposants citent {city}, où {issue} ont changé dès {year}.
""",
    "t_math": "[Cours|Chapitre {d}|Notes|Feuille {n}] : {c}\nIntroduction : {c} et {c}",
    "t_ask": "Question : pourquoi {c} est-il {adj} ?\nQuel lien entre {c} et {c} ?",
    "t_problem": "Problèmes de la semaine {n} : {c}\nConcours {year}, épreuve {d}",
    "t_shop": "{product} en {material}, {color}",
    "t_sports": "{team} à {city} : le résumé",
    "t_finance": "{firm} : résultats de {month}",
    "t_recipe": "Recette : {dish} au {food}",
    "t_admin": "Calendrier des examens, {month} {year}",
    "t_news": "{city} : débat sur {issue}",
    "cookie": "Nous utilisons des cookies pour améliorer votre visite ; vous pouvez accepter ou refuser ici.",
    "footer": "Tous droits réservés {year}, rédaction de {city}. Mentions légales et conditions d'utilisation.",
    "newsletter": "Abonnez-vous à notre lettre et recevez chaque {day} une remise de {n} % sur la boutique.",
}
FR = Grammar("fr", WORDS, POOLS)
