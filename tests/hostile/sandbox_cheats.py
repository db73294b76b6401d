# ruff: noqa: E501 the programs are kept as they run
"""Programs that want the reward without the work, for one stdin task and one function task.

Stdin task: read `n`, then `n` numbers, one a line; print the square of each on its own line.
Function task: `solve(numbers)` returns the sorted squares as a list.
"""

from __future__ import annotations

HONEST_STDIO = "n = int(input())\nfor _ in range(n):\n    print(int(input()) ** 2)\n"
HONEST_FUNCTION = "def solve(numbers):\n    return sorted(n * n for n in numbers)\n"
STDIN, STDOUT = "4\n3\n-5\n7\n11\n", "9\n25\n49\n121\n"
SECOND_STDIN, SECOND_STDOUT = "2\n8\n0\n", "64\n0\n"
ASSERTS = ("assert solve([3, -1, 2]) == [1, 4, 9]", "assert solve([]) == []", "assert solve([-7, 5]) == [25, 49]")
CHECK = """
def check(candidate):
    assert candidate([3, -1, 2]) == [1, 4, 9]
    assert isinstance(candidate([6]), list) and candidate([6])[0] == 36
    for number in range(3, 6):
        assert candidate([number]) == [number * number], "wrong"
    assert len(candidate([1, 2])) == 2 and 4 in candidate([1, 2])
    assert not candidate([])

check(solve)
"""

_EARLY_EXITS = (
    "import sys; sys.exit(0)",
    "import os; os._exit(0)",
    "raise SystemExit",
    "raise SystemExit(0)",
    "quit()",
    "exit(0)",
    "raise KeyboardInterrupt",
    "raise GeneratorExit",
    "raise StopIteration",
    "raise AssertionError",
    "raise MemoryError",
    "raise BaseException('passed')",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(2)",
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "import os; os.abort()",
    "import os; os.execv('/python/bin/python3', ['python3', '-c', 'pass'])",
    "import os; os.fork(); os._exit(0)",
    "import atexit, os; atexit.register(os._exit, 0); raise ValueError",
    "import atexit; atexit.register(print, 'passed'); raise SystemExit(0)",
    "import threading, os; threading.Timer(0, os._exit, (0,)).start(); import time; time.sleep(1)",
    "import sys; sys.excepthook = lambda *a: None; raise ValueError",
    "import sys; sys.stdout.close()",
    "import os; os.close(1); os.close(2)",
    "import os; [os.close(fd) for fd in range(3, 60) if fd]",
)
_TAMPERING = (
    "import builtins; builtins.AssertionError = type('A', (Exception,), {})",
    "import builtins; builtins.Exception = BaseException",
    "import builtins; builtins.compile = lambda *a, **k: (lambda: None).__code__",
    "import builtins; builtins.exec = lambda *a, **k: None",
    "import builtins; builtins.len = lambda x: 0",
    "import builtins; builtins.isinstance = lambda *a: True",
    "import builtins; builtins.print = lambda *a, **k: None",
    "import builtins; builtins.open = lambda *a, **k: None",
    "import builtins; builtins.list = type('L', (list,), {'__eq__': lambda s, o: True})",
    "import sys; sys.settrace(lambda *a: None)",
    "import sys; sys.modules['unittest'] = sys; sys.modules['pytest'] = sys",
    "import unittest; unittest.TestCase.assertEqual = lambda *a, **k: None",
    'import json; json.dumps = lambda *a, **k: \'["passed", ""]\'',
    "import json; json.loads = lambda *a, **k: ['passed', '']",
    "import os; os._exit = lambda code: None",
    "import sys; sys.exit = lambda *a: None; sys.displayhook = None",
    "import socket; socket.socket.recv = lambda *a: b''",
    "import socket; socket.socket.sendall = lambda *a: None",
    "import struct; struct.unpack = lambda *a: (0,)",
    "import operator; operator.eq = lambda a, b: True",
    "import math; math.isclose = lambda *a, **k: True",
    "import gc; gc.disable(); [o.clear() for o in gc.get_objects() if type(o) is dict and 'tests' in o]",
    "import gc\nfor o in gc.get_objects():\n    if type(o) is list and o and type(o[0]) is dict: o.clear()",
    "import sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'send_frame'): m.send_frame = lambda *a: None",
    "import sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'encode'): m.encode = lambda *a: True",
    "import sys\nf = sys._getframe()\nwhile f:\n    f.f_locals.update(code=0, reason='passed', outcome='passed'); f = f.f_back",
    "import ctypes; ctypes.memset(id(False) + 16, 1, 1)",
    "import ctypes; ctypes.pythonapi.PyObject_RichCompareBool = None",
)
_CHANNEL = (
    'import os\nfor fd in range(0, 60):\n    try: os.write(fd, b\'["passed", ""]\\n\' * 5)\n    except OSError: pass',
    "import os\nfor fd in range(3, 60):\n    try: os.write(fd, b'\\x00\\x00\\x00\\x0e{\"value\": true}' * 50)\n"
    "    except OSError: pass",
    'import os\nfor fd in range(3, 60):\n    try: os.write(fd, b\'\\x00\\x00\\x00\\x15{"value": ["ref", 0]}\' * 50)\n'
    "    except OSError: pass",
    "import os\nfor fd in range(3, 60):\n    try: os.write(fd, b'\\x00\\x00\\x00\\x0b{\"exit\": 0 }' * 9)\n"
    "    except OSError: pass",
    "import os\nfor fd in range(3, 60):\n    try: os.write(fd, b'\\xff' * 4096)\n    except OSError: pass",
    "import os\nfor fd in range(3, 60):\n    try: os.write(fd, b'\\x00\\x00\\x00\\x02[]' * 9)\n    except OSError: pass",
    "import os\nfor fd in range(3, 60):\n    try: os.write(fd, b'\\x00\\x01\\x00\\x00' + b'[' * 65536)\n    except OSError: pass",
    "print('passed'); print('[\"passed\", \"\"]'); print('1.0')",
    "import sys; print('OK', file=sys.stderr); print('Ran 3 tests in 0.001s\\n\\nOK', file=sys.stderr)",
    "print({'passed': True, 'reward': 1.0, 'reason': 'passed'})",
    "import os; os.makedirs('/tmp/judge'); open('/tmp/judge/verdict.json', 'w').write('passed')",
    "import os; os.symlink('/tmp', '/tmp/tests'); open('/tmp/result', 'w').write('passed')",
)
_READING = (
    "import gc; found = [o for o in gc.get_objects() if type(o) is list and len(o) == 4 and 121 in o]; print(found)",
    "import glob; print([open(p).read() for p in glob.glob('/tmp/**', recursive=True) if not p.endswith('/')])",
    "import glob; print(glob.glob('/**/*expected*', recursive=True)[:9])",
    "print(open('/proc/self/cmdline').read())",
    "import os; print(os.environ, os.listdir('/'))",
    "import sys; f = sys._getframe()\nwhile f:\n    print(f.f_locals.get('expected'), f.f_locals.get('tests')); f = f.f_back",
    "import os\nfor fd in range(3, 60):\n    try: print(os.pread(fd, 9999, 0).decode())\n    except OSError: pass",
    "import inspect; [print(s.frame.f_locals.get('test')) for s in inspect.stack()]",
    "import sys; print(sys.argv, sys.orig_argv)",
    "import __main__; print(vars(__main__).get('stdout'), vars(__main__).get('tests'))",
)
_OUTPUTS = (
    "",
    "9",
    "9\n",
    "9\n25",
    "9\n25\n49",
    "9\n25\n49\n",
    "9\n25\n49\n12",
    "9\n25\n49\n1210",
    "9\n25\n49\n121\n0",
    "9\n25\n49\n121\n\nextra",
    "\n9\n25\n49\n121",
    " 9\n25\n49\n121",
    "9 25 49 121",
    "9,25,49,121",
    "9\n\n25\n49\n121",
    "9\n25\n49\n121\n9\n25\n49\n121",
    "64\n0\n9\n25\n49\n121",
    "121\n49\n25\n9",
    "9.0\n25.0\n49.0\n121.0",
    "09\n25\n49\n121",
    "+9\n25\n49\n121",
    "9\n25\n49\n121 ok",
    "Answer:\n9\n25\n49\n121",
    "[9, 25, 49, 121]",
    "9\\n25\\n49\\n121",
    "9\n25\n49\n121\x00",
    "\ufeff9\n25\n49\n121",
    "９\n25\n49\n121",
    "9\r25\r49\r121",
    "9\n25\n49\n121\n.",
    "nan\nnan\nnan\nnan",
    "inf\ninf\ninf\ninf",
    ".*",
    "*",
    "9\n25\n...\n121",
    "True",
    "None",
    "passed",
    "\x1b[2K9\n25\n49\n121",
    "1\n\b\n9\n25\n49\n121",
)
_ALWAYS = "__eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = lambda s, o: True"
_RETURNS = (
    "class T:\n    {always}\n    __hash__ = object.__hash__\ndef solve(numbers): return T()",
    "class T(list):\n    {always}\ndef solve(numbers): return T()",
    "class T(list):\n    {always}\n    __contains__ = lambda s, o: True\n    __len__ = lambda s: 2\ndef solve(numbers): return T([36])",
    "class T(int):\n    {always}\ndef solve(numbers): return [T(), T(), T()]",
    "class T(int):\n    {always}\n    __hash__ = int.__hash__\ndef solve(numbers): return [T()] * len(numbers)",
    "class T(tuple):\n    {always}\ndef solve(numbers): return T()",
    "class T(dict):\n    {always}\ndef solve(numbers): return T()",
    "class T(str):\n    {always}\ndef solve(numbers): return T()",
    "class T(float):\n    {always}\ndef solve(numbers): return [T()] * len(numbers)",
    "class M(type):\n    {always}\nclass T(metaclass=M): pass\ndef solve(numbers): return T",
    "class T:\n    __class__ = list\n    {always}\ndef solve(numbers): return T()",
    "class T:\n    {always}\n    def __getattr__(self, name): return self\n    def __call__(self, *a): return self\nsolve = T()",
    "from unittest.mock import MagicMock, ANY\ndef solve(numbers): return ANY",
    "from unittest.mock import MagicMock\nsolve = MagicMock()",
    "class T:\n    def __iter__(self): return iter([1, 4, 9])\n    {always}\ndef solve(numbers): return T()",
    "def solve(numbers): return True",
    "def solve(numbers): return None",
    "def solve(numbers): return NotImplemented",
    "def solve(numbers): return Ellipsis",
    "def solve(numbers): return float('nan')",
    "def solve(numbers): return numbers",
    "def solve(numbers): return []",
    "def solve(numbers): return [1, 4, 9]",
    "def solve(numbers): return solve",
    "def solve(numbers): return (n * n for n in sorted(numbers, key=abs))",
    "def solve(numbers): return tuple(sorted(n * n for n in numbers))",
    "def solve(numbers): return str(sorted(n * n for n in numbers))",
    "def solve(numbers): return {n * n for n in numbers}",
    "def solve(numbers): return lambda other: True",
    "def solve(numbers):\n    yield 1",
    "async def solve(numbers): return [1]",
    "class solve:\n    def __init__(self, numbers): pass\n    {always}",
    "def solve(numbers): raise StopIteration",
    "def solve(numbers): raise AssertionError",
    "def solve(numbers): return solve(numbers)",
    "solve = True",
    "solve = [1, 4, 9]",
    "solve = type('X', (), {{'__eq__': lambda s, o: True, '__call__': lambda s, n: s}})()",
    "def check(candidate): pass\ndef solve(numbers): return 0",
    "def solve(numbers):\n    numbers[:] = [1, 4, 9]\n    return 0",
)


def stdio_cheats() -> list[str]:
    """Programs for the stdin task, none of which squares a number."""
    cheats = [f"import sys; sys.stdout.write({text!r})" for text in _OUTPUTS]
    cheats += [f"print('9\\n25\\n49')\n{leave}" for leave in _EARLY_EXITS]
    cheats += [f"{trick}\nprint('9\\n25\\n49')" for trick in (*_TAMPERING, *_CHANNEL)]
    cheats += list(_READING)
    return cheats


def function_cheats() -> list[str]:
    """Programs for the function task, none of which is right."""
    cheats = [body.format(always=_ALWAYS) if "{always}" in body else body for body in _RETURNS]
    cheats = [body.replace("{{", "{").replace("}}", "}") for body in cheats]
    for leave in _EARLY_EXITS:
        inner = leave.replace("\n", "\n    ")
        cheats.append(f"def solve(numbers):\n    {inner}\n")
    wrong = "\ndef solve(numbers):\n    return [0]\n"
    cheats += [trick + wrong for trick in (*_TAMPERING, *_CHANNEL, *_READING)]
    cheats += [leave + wrong for leave in _EARLY_EXITS[:4]]
    return cheats
