"""Worked cases of the mathematics judge, one table per kind of answer. Format: verdict, gold, prediction."""

from __future__ import annotations

import pytest

from tasks.grade.math import Rounding, verify

NUMBERS = r"""
T ; 42 ; 42
F ; 42 ; 43
F ; 42 ; 4
F ; 4 ; 42
F ; 42 ; 420
T ; -7 ; −7
F ; -7 ; 7
T ; 7425000 ; 7,425,000
T ; 1{,}234 ; 1234
T ; 1\,234 ; 1234
T ; 12 000 ; 12000
T ; 11111111100 ; 11,\! 111,\! 111,\! 100
F ; 32349 ; 32, 349
T ; 1000 ; 1000.0
T ; .4 ; 0.4
T ; 0,125 ; 0.125
T ; 2.74 ; 2,74
T ; 0.\overline{3} ; \frac13
T ; 0.1\overline{6} ; 1/6
F ; 0.\overline{3} ; 0.3
T ; 1.5e3 ; 1500
T ; 1.5\times 10^3 ; 1500
T ; 3.83e35 ; 3.83 \times 10^{35}
F ; 3.83e35 ; 3.83 \times 10^{34}
T ; ١٢ ; 12
T ; ３４ ; 34
T ; 007 ; 7
F ; 10^{100} ; 10^{101}
T ; 10^{100} ; 10^{99}\cdot 10
T ; 3 million ; 3,000,000
T ; 2^{10} ; 1024
T ; 5! ; 120
T ; \binom{5}{2} ; 10
F ; 10^{10^{10^{10}}} ; 10^{10}
"""
FRACTIONS = r"""
T ; \frac{1}{2} ; 1/2
T ; \frac12 ; 0.5
T ; \dfrac{1}{2} ; \tfrac12
T ; 1/3 ; \frac{2}{6}
F ; 1/3 ; 0.333
F ; 1/3 ; 3
T ; 1.5 ; 1 1/2
T ; 2.625 ; 2\frac58
T ; 2\dfrac{5}{8} ; 21/8
T ; -2\frac12 ; -2.5
F ; -2\frac12 ; -1.5
T ; ½ ; 0.5
T ; -\frac{1}{2} ; \frac{-1}{2}
T ; -\frac{1}{2} ; \frac{1}{-2}
F ; -\frac{1}{2} ; \frac{1}{2}
T ; \frac{1}{\frac{1}{2}} ; 2
T ; 5:1 ; 5
T ; 4:6 ; 2:3
T ; 3:4:5 ; 6:8:10
F ; 3:4:5 ; 3:4:6
T ; 2:3 ; \frac23
F ; 2:3 ; 3:2
F ; \frac{3}{4} ; \frac{4}{3}
F ; 12/5 ; 1/25
T ; 10/9 ; \left(\frac{10}{9}\right)
"""
PERCENTAGES = r"""
T ; 28\% ; 28 percent
T ; 28\% ; 28 pct
T ; 28\% ; $28$ %
T ; 28\% ; 0.28
T ; 28\% ; 28
T ; 0.28 ; 28\%
T ; 75\% ; \frac34
F ; 28\% ; 2.8
F ; 28\% ; 0.0028
F ; 28\% ; 28 cm
F ; 28\% ; 29\%
T ; 12.5\% ; 1/8
"""
UNITS = r"""
T ; 5 cm ; 5 \text{ cm}
T ; 5 cm ; 5
T ; 5 ; 5 cm
T ; 5 cm ; 50 mm
F ; 5 cm ; 5 m
F ; 5 cm ; 5 kg
T ; 15\mbox{ cm}^2 ; 15 square centimeters
F ; 15\text{ cm}^2 ; 15\text{ cm}^3
T ; 1 hour ; 60 minutes
T ; 60 mph ; 60 miles per hour
T ; 60 \text{ km/h} ; 60 km/h
F ; 60 \text{ km/h} ; 60 mph
T ; 90^\circ ; 90
T ; 90^\circ ; 90 degrees
T ; 90° ; 90^{\circ}
F ; 90^\circ ; 80^\circ
T ; 9\text{ values} ; 9
T ; 9\text{ values} ; 9 \text{ integers}
F ; 5 am ; 5 pm
T ; 25^\circ C ; 25^\circ\text{C}
T ; 125 miles ; 125\textnormal{ miles}
T ; 3米 ; 3
T ; 3\text{ hours } 20\text{ minutes} ; 200 minutes
T ; 1\frac12\text{ hours} ; 90 minutes
T ; 10\text{ m/s} ; 10 m/s
T ; 36\text{ km/h} ; 10 m/s
T ; 8 ; \boxed{\text{8 inches}}
T ; 6^{\text{th}} ; 6
T ; 3\text{米} ; 3米
T ; \frac{270}{7}\text{ degrees} ; \frac{270}{7}^\circ
F ; 10 N ; 10
"""
MONEY = r"""
T ; \$10 ; 10
T ; \$1,234.50 ; 1234.5
T ; \$5 ; 5 dollars
T ; \$5 ; 500 cents
F ; \$5 ; 5 cents
F ; \$5 ; €5
T ; 1000.99 ; 1,000.99€
T ; 18元 ; 18
F ; \$10 ; \$100
"""
INTERVALS = r"""
T ; [0,1) ; [0,1)
F ; [0,1) ; (0,1)
F ; [0,1) ; [0,1]
F ; [0,1) ; [0,2)
T ; [-4/2, 0.5] ; [-2, \frac{1}{2}]
T ; [1/2, \infty) ; x \in [0.5, \infty)
T ; (3,\infty) ; x>3
T ; [3,\infty) ; x\ge 3
F ; (3,\infty) ; x\ge 3
F ; (3,\infty) ; x<3
T ; (-1,2) ; -1<x<2
T ; [-1,2] ; -1\le x\le 2
F ; (-3,2) ; [-3,2]
T ; (-\infty,-14)\cup(-3,\infty) ; x<-14 or x>-3
T ; (-\infty,-14)\cup(-3,\infty) ; (-3,\infty)\cup(-\infty,-14)
F ; (-\infty,-14)\cup(-3,\infty) ; (-\infty,-14]\cup(-3,\infty)
T ; [1,2]\cup[2,3] ; [1,3]
T ; x \neq 1 ; (-\infty,1)\cup(1,\infty)
T ; \mathbb{R}\setminus\{1\} ; x\ne 1
T ; \mathbb{R} ; (-\infty,\infty)
T ; (0,1) ; 0<f(x)<1
T ; \{-1\}\cup[0,7) ; [0,7) \cup \{-1\}
T ; [a,b) ; [a,b)
F ; [a,b) ; (a,b)
T ; [1,+\infty) ; [1,\infty)
"""
SETS = r"""
T ; \{1,2\} ; \{2,1\}
F ; \{1,2\} ; \{1,2,3\}
F ; \{1,2\} ; \{1\}
T ; \{1,2,2\} ; \{1,2\}
T ; \{1,3\}\cup\{2,4\} ; \{1,2,3,4\}
T ; \{1,2,3\}\cap\{2,3,4\} ; \{2,3\}
T ; \{1,2,3\}\setminus\{2\} ; \{1,3\}
T ; \{x \mid x>3\} ; (3,\infty)
T ; \{x : -1<x<2\} ; -1<x<2
T ; \emptyset ; \varnothing
F ; \emptyset ; \{0\}
T ; \{1\pm\sqrt{5},-2\} ; \{-2, 1-\sqrt5, 1+\sqrt5\}
T ; \{5\} ; 5
F ; \{1,2\} ; (1,2)
T ; 1, 3, 2 ; 1, 2, 3
T ; 19, 46, and 82 ; 82, 46, 19
F ; 1,2,3 ; 1,2
F ; 1,2 ; 1,2,3
F ; 19, 46, and 82 ; 21, 36, and 82
T ; \pm 2021 ; -2021, 2021
T ; 3\pm\sqrt5 ; 3+\sqrt5, 3-\sqrt5
F ; 3\pm\sqrt5 ; 3+\sqrt5
T ; 6 \text{ and } 8 ; 8, 6
T ; 6 \text{ or } 8 ; 6,8
T ; -12;-11;-10 ; -10, -11, -12
F ; 5 ; 5, 7
F ; 5 ; 5 or 7
"""
TUPLES = r"""
T ; (1,2) ; (1,2)
F ; (1,2) ; (2,1)
F ; (1,2) ; (1,2,3)
T ; (1,\frac92) ; (1,4.5)
T ; (3, \frac{\pi}{2}) ; \left( 3, \pi/2 \right)
T ; (x,y)=(3,4) ; (3,4)
T ; (3,4) ; x=3, y=4
T ; x=3, y=4 ; y=4, x=3
F ; x=3, y=4 ; y=3, x=4
F ; (1, 3, 2) ; [1, 2, 3]
T ; (2,1),(3,1) ; (3,1),(2,1)
F ; (2,1),(3,1) ; (1,2),(1,3)
T ; (0;0;0),(4;0;6) ; (4,0,6),(0,0,0)
T ; (11,7) or (7,11) ; (7,11),(11,7)
T ; p=5,q=2;p=7,q=2 ; (5,2),(7,2)
F ; p=5,q=2;p=7,q=2 ; (5,2),(2,7)
T ; (1,2) ; \begin{pmatrix}1\\2\end{pmatrix}
T ; AB=4, CD=5 ; 4, 5
T ; (1,3) ; 1,3
"""
MATRICES = r"""
T ; \begin{pmatrix}1&2\\3&4\end{pmatrix} ; \begin{bmatrix}1&2\\3&4\end{bmatrix}
F ; \begin{pmatrix}1&2\\3&4\end{pmatrix} ; \begin{pmatrix}1&3\\2&4\end{pmatrix}
F ; \begin{pmatrix}1&2\end{pmatrix} ; \begin{pmatrix}1\\2\end{pmatrix}
T ; \begin{pmatrix} 1 & 0.5 \\ 1/3 & 4 \end{pmatrix} ; \begin{pmatrix} 1 & 1/2 \\ \frac13 & 4 \end{pmatrix}
T ; \begin{pmatrix}6&8\\10&12\end{pmatrix} ; \begin{pmatrix}1&2\\3&4\end{pmatrix}+\begin{pmatrix}5&6\\7&8\end{pmatrix}
T ; 2\begin{pmatrix}1\\2\end{pmatrix} ; \begin{pmatrix}2\\4\end{pmatrix}
T ; \begin{pmatrix}1&2\\3&4\end{pmatrix}\begin{pmatrix}1\\1\end{pmatrix} ; \begin{pmatrix}3\\7\end{pmatrix}
T ; [0.5, 1] ; \begin{matrix} \frac12 \\ 1 \end{matrix}
T ; \begin{pmatrix}1&2\\3&4\end{pmatrix}^T ; \begin{pmatrix}1&3\\2&4\end{pmatrix}
F ; \begin{pmatrix}1&2\\3&4\end{pmatrix} ; 1
T ; \begin{pmatrix}1&0.5\\1/3&4\end{pmatrix} ; [[1.0, 1/2],[1/3, 4.0]]
"""
EQUATIONS = r"""
T ; x=5 ; 5
T ; 5 ; x = 5
T ; 5 ; x \approx 5
F ; x=5 ; x=6
F ; x=5 ; y=5
T ; x = 1/3 ; x = 5+5+1 = 1/3 \approx 11
T ; 1/3 ; x=1/3\approx1.3
T ; y=2x+1 ; 2x-y+1=0
T ; y=2x+1 ; f(x)=1+2x
T ; y=2x+1 ; 2x+1
F ; y=2x+1 ; y=2x-1
T ; x^2+y^2=25 ; 25=y^2+x^2
T ; x^2/4 + y^2/3 = 1 ; x^2/16 + y^2/12 = 1/4
F ; x^2+y^2=25 ; x^2+y^2=5
T ; y=\frac{x}{2}-1 ; x-2y=2
T ; y=\frac6x ; xy=6
F ; 7=11a+c ; 11a+c
T ; f(x)=x^2 ; f(t)=t^2
T ; a_{n}=2n+1 ; a_n=2n+1
T ; a_{n}=2n+1 ; 2n+1
T ; S:T=7:32 ; 7:32
T ; |AB|=1 ; 1
T ; (x-3)^2+y^2=9 ; x^2-6x+y^2=0
F ; x+y-z+2=0 ; 5x-7y+11z+4=0
T ; \sqrt3 x - y = 0 ; y = \sqrt3 x
T ; y'+y=0 ; y'=-y
T ; m\frac{dv}{dt}+bv=f ; \frac{dv}{dt}=\frac{f-bv}{m}
T ; x=\pm2 ; x=2 or x=-2
"""
INEQUALITIES = r"""
T ; x \ge 5 ; 5 \le x
T ; x >= 5 ; x \geqslant 5
T ; 2x>6 ; x>3
T ; x < 1 ; -x > -1
F ; x < 1 ; x > -1
F ; x>3 ; x\ge3
F ; x>3 ; 3
F ; x>3 ; y>3
T ; x \neq 5 ; x != 5
T ; 1<x<2 ; 2>x>1
T ; f(2)<f(1)<f(4) ; f(4)>f(1)>f(2)
F ; f(2)<f(1)<f(4) ; f(1)<f(2)<f(4)
T ; x+y<1 ; 1>y+x
F ; x+y<1 ; x+y>1
T ; a > \frac{1}{5} ; a>0.2
"""
EXPRESSIONS = r"""
T ; (x+1)^2 ; x^2+2x+1
T ; \frac{x+2}{7} ; \frac{x}{7}+\frac{2}{7}
T ; \frac{x^2-1}{x-1} ; x+1
T ; 11z^7(11z^7+5) ; 11z^{7}(5+11z^{7})
F ; (a+5)(b+2) ; (+5)(b+2)
F ; x+2n+1 ; x+1
F ; x+y ; x-y
T ; ab ; ba
T ; \sqrt8 ; 2\sqrt2
T ; \frac{1}{\sqrt2} ; \frac{\sqrt2}{2}
T ; \frac{1}{\sqrt3-1} ; \frac{\sqrt3+1}{2}
F ; 4 ; 4\sqrt2
F ; 2 ; \frac{1+\sqrt5}{2}
F ; 4 ; \frac{34}{16}+\frac{\sqrt{1358}}{16}
T ; \sqrt{3+2\sqrt2} ; 1+\sqrt2
F ; \sqrt{3+2\sqrt2} ; 1+\sqrt3
T ; \sqrt[3]{-8} ; -2
T ; \sqrt[3]{\frac{5}{12}} ; (\frac{5}{12})^{\frac13}
T ; 8^{2/3} ; 4
T ; \frac{1}{3\sqrt[3]{x}^2} ; \frac{1}{3x^{2/3}}
T ; \sin^2 x+\cos^2 x ; 1
T ; \tan^2(y)+1 ; \sec^2(y)
T ; 2\sin x\cos x ; \sin 2x
F ; \sin x ; \cos x
T ; \sin 30^\circ ; 0.5
T ; \tan 15^\circ ; 2-\sqrt3
T ; \arctan 1 ; \frac{\pi}{4}
T ; i(2-i) ; 1+2i
T ; \frac{1}{1+i} ; \frac{1-i}{2}
T ; e^{i\pi} ; -1
T ; \frac12(e^{at}+e^{-at}) ; \cosh(at)
T ; \log_2 8 ; 3
T ; \ln 8 ; 3\ln 2
T ; \ln(xy) ; \ln x+\ln y
T ; \log_{2}(x)+1 ; \log_2(2x)
T ; 2^{n+1} ; 2\cdot2^n
T ; 4^n ; 2^{2n}
T ; (n+1)! ; (n+1)n!
T ; \frac{(n-1)!}{k!}\frac{n}{(n-k)!} ; \frac{n!}{k!(n-k)!}
T ; \binom{n}{2} ; \frac{n(n-1)}{2}
F ; \sqrt{x^2} ; x
T ; \sqrt{x^2} ; |x|
T ; \sqrt{ab} ; \sqrt a\sqrt b
T ; \sum_{k=1}^{n} k ; \frac{n(n+1)}{2}
T ; \int_0^1 x^2 dx ; \frac13
T ; 2\pi r ; 2r\pi
T ; 2\pic^{2}R ; 2\pi c^2 R
T ; \frac{\pi}{6}+k\pi ; k\pi+\frac{\pi}{6}
T ; \lfloor 3.7 \rfloor ; 3
T ; x_{1} ; x_1
F ; x_1 ; x_2
F ; 0 ; 10^{-12}
T ; \infty ; +\infty
F ; \infty ; -\infty
T ; 204_5 ; 204_{5}
F ; 204_5 ; 204_6
T ; \cos(n\pi) ; (-1)^n
F ; (-1)^{n+1} ; (-1)^n
T ; \begin{vmatrix}1&2\\3&4\end{vmatrix} ; -2
T ; 24_{10} ; 24
F ; 204_5 ; 54
"""
CHOICES = r"""
T ; C ; (C)
T ; \text{C} ; \text{(C)}
T ; C ; thinking about it I think the correct answer is C
T ; D ; The answer is for sure D, it can't be A or B
T ; D ; D. it can't be A or B
F ; C ; The answer is B, not C
F ; D ; D, E
F ; D ; The answer is D or E
T ; C Cecile ; C
F ; (A) Cecile ; C
T ; C ; réponse est C non A
T ; B ; B。 不是 A
T ; B ; 答案是B
T ; B ; 正确选项为 (B)
T ; \textbf{(D) } 45 ; D
T ; \textbf{(D) } 45 ; 45
F ; \textbf{(D) } 45 ; 46
F ; A ; A prime number is B
T ; AC ; A, C
F ; AC ; A, B
T ; \text{A, B} ; B and A
F ; B ; \text{A, B}
F ; B ; \boxed{\text{A, B}}
F ; (\text{H}) ; \text{C, F, H}
F ; \text{A,B} ; \text{B}
F ; A ; \text{A5}_{11}
F ; B ; It is either A or B
F ; B ; 2B
T ; A ; A) 5
T ; A ; Let's see: **A**
F ; B ; A+B
F ; 4\% ; 4\text{ units}
"""
RESPONSES = r"""
T ; 42 ; The answer is 42, not 41.
F ; 41 ; The answer is 42, not 41.
F ; 7 ; The answer is not 7.
T ; \frac{2}{3} ; The probability is 2/3, approximately 0.667.
F ; 42 ; I think it is 42, no: \boxed{41}
F ; 7 ; The answer is 7 or 8.
F ; 5 ; \boxed{5 \text{ or } 6}
F ; 5 ; 5 6
F ; 12 ; 1 2
F ; 2 ; 2(1
T ; 6 ; \[ \boxed{6} \]</s>
T ; 6 ; \boxed{\boxed{6}}
T ; 6 ; \boxed 6
T ; 5 ; So the answer is $5$ because 2+3=5.
T ; 1/6 ; Therefore it is $\boxed{\frac{1}{6}}$, or about 16.7\%.
T ; 72 ; 48/2 = 24, and 48+24 = 72 #### 72
"""
TEXTS = r"""
T ; \text{Evelyn} ; The winner is $\boxed{\text{Evelyn}}$.
T ; \text{east} ; East
F ; \text{even} ; odd
T ; no solution ; \text{No solution}
F ; yes ; no
F ; \text{on} ; no
T ; \text{two lines} ; Two lines.
T ; 等边三角形 ; 等边三角形
F ; 等边三角形 ; 直角三角形
T ; \text{e} ; e
"""
CHINESE = r"""
T ; 13 ; 所以一共有3 + 10 = 13只鸟和鹳鸟。
T ; 2/5 ; 答案：每份应该是 (\frac{2}{5}) 吨。
T ; 4000 ; 地块面积 = 72000 / 18 = 4000千克
T ; 192 ; 因此，杰西开始慢跑前的体重是192公斤。
T ; 18 ; 答案是18美元。
F ; 18 ; 答案是19美元。
T ; (1,2) ; （1，2）
T ; x>3 ; 答案：x＞3
T ; x=3或x=5 ; x=5 or x=3
T ; 3和5 ; 5, 3
T ; B ; 故选：B
T ; 10 ; 最终答案是 $\boxed{10}$。
T ; 72 ; Ответ: 72 доллара
T ; 92 ; الجواب هو ٩٢
"""
QUALIFIED = r"""
F ; 5 ; \boxed{<5}
F ; 5 ; \boxed{\neq 5}
F ; 5 ; \boxed{3 \foo 5}
F ; 5 ; \boxed{100 / / 5}
F ; 5 ; \boxed{5+}
F ; 5 ; \boxed{1 2 3 4 5}
F ; 5 ; <answer>3 ++/ 5</answer>
F ; 5 ; \boxed{less than 5}
F ; 5 ; \boxed{\text{not }5}
F ; 5 ; \boxed{half of 5}
F ; 5 ; \boxed{twice 5}
F ; 5 ; \boxed{5 more than x}
F ; 5 ; 1 over 5
F ; 5 ; square root of 5
F ; 5 ; 2 to the power of 5
F ; 5 ; It cannot be 5.
F ; 2 ; \boxed{5\text{ divided by }2}
F ; 12 ; \boxed{\text{between }10\text{ and }12}
T ; 5 ; She has 5 more than Bob.
T ; 5 ; He went 5 times.
T ; 5 ; It is 5.
T ; They are equal ; They are equal
T ; -5 ; So it is -5.
T ; x+1 ; y is x+1
F ; 5 ; it is 6
T ; 5 ; It takes 5 hours over all.
F ; 5 ; \boxed{\text{negative }5}
F ; 5 ; #### minus 5
T ; -5 ; \boxed{\text{negative }5}
T ; -5 ; \boxed{\text{minus }5}
T ; -5 ; The final answer is minus 5
T ; -5 ; The answer is negative 5.
T ; -5 ; 答案是负5。
F ; 5 ; 答案是负5。
T ; -5 ; The temperature outside is -5 degrees today
T ; -5 ; So we lose, it is -5.
T ; 5 ; so 8 -3 leaves 5
T ; 2 ; 5 minus 3
T ; 5 ; \boxed{2+3=5}
F ; 5 ; \boxed{2+2=5}
F ; 3 ; \boxed{2+3=5}
"""
SCALES = r"""
F ; 5\text{ million} ; \boxed{5\text{ billion}}
F ; \$2\text{ million} ; \boxed{\$2\text{ billion}}
F ; 2 ; \boxed{\$2\text{ million}}
F ; 5 ; 5 million people
T ; 1000000 ; \boxed{1\text{ million}}
T ; 2000000 ; \boxed{\$2\text{ million}}
T ; 2000000 ; The profit is \$2 million.
T ; 5 million ; \boxed{5\text{ million}}
T ; 1000000 ; 1'000'000
T ; 1/3 ; \boxed{0.333...}
T ; 1/3 ; \boxed{0.333\ldots}
T ; 1/6 ; 0.1666…
T ; 0.\overline{12} ; 0.12121...
F ; 0.333... ; \boxed{0.333}
T ; \infty ; \boxed{\text{infinity}}
"""
BOXES = r"""
T ; 6 ; \boxed{5}. Wait, it is \boxed{6}
T ; 6 ; First \boxed{5}, then \boxed{6}
T ; 6 ; \boxed{5}, no, \boxed{6}
T ; 6 ; \boxed{5} or rather \boxed{6}
T ; 6 ; \boxed{7}. Hence, \boxed{6}
F ; 5,6 ; \boxed{5}. Wait, \boxed{6}
T ; 5,6 ; \boxed{5} and \boxed{6}
T ; 5,6 ; $\boxed{5}$, $\boxed{6}$
"""
DENIALS = r"""
F ; B ; The answer is not B
F ; B ; not B
F ; B ; I'd rule out B
F ; B ; B is wrong
F ; B ; 答案不是B
F ; B ; The answer isn't B
F ; A ; A. B. C. D.
F ; B ; B/C
T ; B ; A is wrong, so B
T ; B ; I pick B, as A is wrong
T ; B ; The answer is B, not C
"""
TABLES = {name: table for name, table in globals().items() if name.isupper() and isinstance(table, str)}
CASES = [
    (f"{name.lower()}-{number}", *(part.strip() for part in line.split(" ; ")))
    for name, table in TABLES.items()
    for number, line in enumerate(table.strip().splitlines())
    if line.count(" ; ") == 2
]


def test_there_are_at_least_three_hundred_cases_of_both_verdicts() -> None:
    assert len(CASES) >= 300
    assert sum(case[1] == "F" for case in CASES) >= 80


@pytest.mark.parametrize(("verdict", "gold", "prediction"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_case(verdict: str, gold: str, prediction: str) -> None:
    result = verify(gold=gold, prediction=prediction)
    assert result.correct is (verdict == "T"), result


@pytest.mark.parametrize(
    ("gold", "prediction", "rounding", "correct"),
    [
        ("1.732", r"\sqrt3", Rounding(), True),
        ("1.73", r"\sqrt3", Rounding(), False),
        ("1.733", r"\sqrt3", Rounding(), False),
        (r"\sqrt3", "1.732", Rounding(), False),
        (r"\frac{1}{12}", "0.0833333333333333", Rounding(), True),
        (r"\frac{1}{12}", "0.0834", Rounding(), False),
        (r"\frac13", "0.33", Rounding(prediction_digits=2), True),
        (r"\frac13", "0.34", Rounding(prediction_digits=2), False),
        (r"\frac{1}{432}", r"2.314814814815 \times 10^{-3}", Rounding(), True),
        ("1.732", r"\sqrt3", None, False),
        (r"\frac14", "0.25", None, True),
    ],
)
def test_rounding_is_a_named_policy(gold: str, prediction: str, rounding: Rounding | None, correct: bool) -> None:
    assert verify(gold=gold, prediction=prediction, rounding=rounding).correct is correct
