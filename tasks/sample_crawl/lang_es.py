# ruff: noqa: E501 one template, site or problem a line
"""Spanish: word lists and sentence templates."""

from __future__ import annotations

from tasks.sample_crawl.grammar import Grammar

WORDS = {
    "c_algebra": "el subgrupo|el anillo cociente|el ideal|el homomorfismo|el polinomio mínimo|el cuerpo|la órbita|el grupo simétrico",
    "c_calculus": "la derivada|el límite|la primitiva|la integral|la serie|el teorema del valor medio|la sucesión|la continuidad",
    "c_linear": "la base|el autovalor|el determinante|el núcleo|el producto escalar|el rango|la matriz de cambio|el subespacio",
    "c_statistics": "la esperanza|la varianza|la muestra|el intervalo de confianza|la hipótesis nula|el estimador|la densidad|el cuantil",
    "c_numbers": "el número primo|el máximo común divisor|la congruencia|el pequeño teorema de Fermat|el algoritmo de Euclides"
    "|el residuo cuadrático|la divisibilidad|el descenso infinito",
    "c_geometry": "la circunferencia circunscrita|la bisectriz|el cuadrilátero cíclico|la mediatriz|el teorema de Tales|la tangente"
    "|el triángulo isósceles|el ortocentro",
    "c_counting": "el principio del palomar|el coeficiente binomial|la recurrencia|la permutación|el conteo doble|la función generatriz"
    "|el grafo|la biyección",
    "verb": "determina|acota|describe|proporciona|reemplaza|generaliza|caracteriza|simplifica",
    "adj": "fácil|clásico|útil|notable|habitual|delicado|elemental|famoso",
    "who": "Euler|Cauchy|Abel|Lagrange|Rey Pastor|Santaló|Gauss|Fermat|Ramanujan|Newton",
    "person": "Lucía|Mateo|Sofía|Diego|Carmen|Pablo|Julia|Andrés|Rosa|Javier|Inés|Tomás|Elena",
    "thing": "canicas|manzanas|cuadernos|fichas|sellos|sillas|cartas|monedas|lápices|galletas|libros",
    "city": "Sevilla|Rosario|Bilbao|Cuenca|Mérida|Valparaíso|Cali|Oviedo|Puebla|Murcia|Trujillo|Cádiz",
    "team": "el Atlético|el Deportivo|las Águilas|el Racing|la Unión|los Lobos|el Sporting|el Náutico",
    "product": "botas de montaña|lámpara de mesa|cafetera|chaqueta impermeable|sartén de hierro|silla de oficina|auriculares|mochila"
    "|hervidor|manta de lana|cuchillo de pan|manguera",
    "material": "roble|acero|algodón|lana merino|aluminio|bambú|lona|vidrio|cuero|corcho|cerámica",
    "color": "gris|azul marino|oliva|crema|antracita|óxido|arena|blanco|mostaza|granate",
    "food": "harina|azúcar moreno|mantequilla|cebolla|lentejas|queso rallado|aceite de oliva|miel|tomate|nata|zanahoria|albahaca",
    "dish": "sopa de lentejas|tarta de manzana|tortilla|gazpacho|empanada|arroz con leche|bizcocho|mermelada de ciruela",
    "firm": "Banco Norte|Grupo Aldaya|Castor Energía|Orión Carga|Motores Tilo|Aster Comercio|Polar Naviera",
    "day": "lunes|martes|miércoles|jueves|viernes|sábado", "month": "enero|febrero|marzo|abril|mayo|junio|septiembre|octubre",
    "place": "junto a la estación|en la plaza mayor|en el ayuntamiento|en el museo|en el puerto viejo|en el parque|en la biblioteca",
    "issue": "los carriles bici|el precio del autobús|los comedores escolares|la vivienda|los aparcamientos|la fiesta de verano"
    "|el hospital|el alumbrado",
    "nav": "Inicio|Acerca de|Contacto|Archivo|Buscar|Entrar|Ayuda|Temas|Privacidad|Mapa del sitio|Agenda",
    "room": "A101|B207|aula magna|C310|aula 12|D020",
}  # fmt: skip
POOLS = {
    "expo": """
[Sea|Supongamos] {f}; entonces {c} {verb} lo que ocurre cuando {f}.
[Recordemos|Sabemos] que {c} está bien definido si {f}.
[Además|Asimismo|Por otra parte], se tiene {f}, y así {c} {verb} el caso {f}.
Según un teorema de {who}, {c} existe [si y solo si|siempre que|en cuanto] {f}.
Aquí es donde aparece {c}, pues sin {f} el enunciado sería falso.
Para cada {f} existe {f} tal que {f}; reconocemos así {c}.
Ejemplo {n}. Con {f} resulta {f}, de modo que {c} es {adj}.
[Recíprocamente|En cambio], {c} deja de ser {adj} cuando {f}.
En {year}, {who} demostró que {c} conserva su sentido para {f}.
Al sustituir {f} en la línea anterior [obtenemos|queda] {f}.
No hay que confundir: {c} es {adj}, mientras que {c} depende de {f}.
Definición. Decimos que {c} es degenerado cuando {f}.
Ejercicio {n}. [Pruebe|Demuestre] que {c} {verb} {f} y estudie el caso {f}.
Para el examen conviene recordar que {c} y {c} se relacionan por {f}.
""",
    "proof": """
Supongamos por contradicción que {f}; entonces {c} sería {adj}, contra {f}.
Por inducción sobre {f} vemos que {c} existe y que {f}.
De ahí se deduce {f}, y {c} da [la cota|la conclusión|la igualdad].
Sin pérdida de generalidad {f}; si no, cambiamos los papeles y {c} no varía.
Falta el caso {f}, donde {c} {verb} todo lo demás.
Sumando ambas igualdades queda {f}, y {c} desaparece.
""",
    "problem": """
{person} tiene {m} {thing} y regala {d} a cada uno de sus {n} amigos; ¿cuántas le quedan?
Halla todos los [enteros|naturales|reales] que cumplen {f} y justifica que no hay más.
Una urna contiene {n} {thing} rojas y {n} azules; se sacan [dos|tres] sin reposición, ¿qué probabilidad hay de que coincidan?
¿De cuántas maneras se sientan {n} alumnos en {n} sillas si {person} no quiere estar junto a {person}?
Calcula {f} y comprueba que {c} es {adj}.
Un tren sale de {city} a las {hour} a {n} kilómetros por hora; ¿cuándo se cruza con el de {city}?
Demuestra que entre {n} números siempre hay dos tales que {f}.
Los lados de un triángulo miden {n}, {n} y {n}; calcula su área y dibuja {c}.
""",
    "ask": """
No consigo resolver este ejercicio: {c} debería dar {f}, pero me sale {f}.
¿Por qué podemos suponer {f}? El libro solo dice que {c} es [evidente|trivial|claro].
Empecé con {f}, y luego {c} me estorba.
¿Hay un método sin {f}, usando solo que {c} es {adj}?
La solución dice {n} y yo siempre obtengo {n}.
""",
    "answer": """
Pista: mira en qué se convierte {c} cuando {f}.
Tu error está en la segunda línea, porque {f} exige {f}.
Como dijo {person}, {c} es {adj} aquí, luego {f}.
Sí, y un contraejemplo es {f}; prueba con {n} y {n}.
El truco es que {c} ya {verb} {f}.
¡Gracias, ahora entiendo por qué {c} es {adj}!
""",
    "shop": """
[Novedad|Oferta]: {product} de {material} en color {color} por {price} € en lugar de {price} €.
Envío a {city} por {price} €, gratis a partir de {n} € de compra.
Peso {n} g, altura {n} cm, referencia {m}, acabado en {material} y {material}.
{person}, de {city}, escribe: "Después de {n} meses sigue como nuevo, {product} estupendo".
Devolución en {n} días y reembolso en {d} días hábiles.
Combínalo con: {product} {color}, {price} €, quedan {n} unidades.
""",
    "sports": """
En {city}, {team} ganó {n} a {n} el {day}, su {d}ª victoria seguida.
{person} marcó en el minuto {n} cuando {team} llevaba ventaja.
Ante {big} espectadores, {team} vio {d} tarjetas amarillas.
En la tabla, {team} suma {n} puntos y ocupa el puesto {d}.
El entrenador elogió a {person}, lesionado desde {month}.
Entradas para el {day} a las {hour} desde {n} euros.
""",
    "finance": """
{firm} aumentó sus ventas un {pct} por ciento hasta {pct} mil millones.
La acción de {firm} cayó un {pct} por ciento y cerró en {city} a {price} euros.
El banco central mantuvo el tipo en el {pct} por ciento, con una inflación del {pct}.
Antes de {month}, {firm} recortará {m} empleos en {city}.
Una hipoteca de {big} euros al {pct} por ciento cuesta {m} euros al mes.
La analista {person} espera para {year} un dividendo de {price} euros.
""",
    "recipe": """
Mezclar {n} g de {food} con 1/2 litro de agua y {d} cucharadas de {food}.
Precalentar el horno a {m} grados y cocer {dish} durante {n} minutos.
Para {d} personas, preparación {n} minutos; si falta {food}, usar {food}.
Mi abuela de {city} hacía {dish} cada {day} con {food}.
Sofreír {food} y {food}, y añadir 3/4 de {food} al final.
Se guarda {d} días en la nevera: {dish} mejora con el reposo.
""",
    "admin": """
El examen de Cálculo {d} será el {n} de {month} a las {hour} en {room}.
La matrícula de Álgebra {d} y Estadística se abre el {day} en secretaría.
Tutorías de la profesora {who}: {day} a las {hour}, {room}.
El departamento de matemáticas cierra el {day} por obras {place}.
Se busca becario, {n} horas al mes, solicitudes hasta el {n} de {month}.
Se cancela el seminario de teoría de números; el coloquio pasa a {room}.
""",
    "news": """
El pleno de {city} votó el {day} por {n} a {d} sobre {issue}.
Los vecinos {place} protestan por {issue} y reunieron {m} firmas.
"Llevamos {d} años esperando esto", dice {person} {place}.
Tras las lluvias, una calle de {city} quedó cortada {place}.
Según una encuesta a {m} personas, al {n} por ciento le preocupa {issue}.
La alcaldesa hablará en {month} {place} sobre {issue} con los colegios.
Los críticos citan a {city}, donde {issue} cambiaron en {year}.
""",
    "t_math": "[Apuntes|Tema {d}|Capítulo {d}|Hoja {n}]: {c}\nIntroducción: {c} y {c}",
    "t_ask": "Pregunta: ¿por qué {c} es {adj}?\n¿Qué relación hay entre {c} y {c}?",
    "t_problem": "Problemas de la semana {n}: {c}\nOlimpiada {year}, fase {d}",
    "t_shop": "{product} de {material}, {color}",
    "t_sports": "{team} en {city}: crónica",
    "t_finance": "{firm}: resultados de {month}",
    "t_recipe": "Receta: {dish} con {food}",
    "t_admin": "Calendario de exámenes, {month} de {year}",
    "t_news": "{city}: debate sobre {issue}",
    "cookie": "Usamos cookies para mejorar su visita; puede aceptar o rechazar aquí todas las opciones.",
    "footer": "Todos los derechos reservados {year}, redacción de {city}. Aviso legal y condiciones de uso.",
    "newsletter": "Suscríbase a nuestro boletín y reciba cada {day} un descuento del {n} por ciento.",
}
ES = Grammar("es", WORDS, POOLS)
