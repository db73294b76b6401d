# ruff: noqa: E501 the programs are kept as they run
"""Programs that try to leave the sandbox. Each prints ESCAPED when an attempt worked; the host looks as well.

`{secret}` is a file of the host, `{port}` a TCP and UDP listener, `{name}` an abstract unix listener, `{pid}` the
judge's process id, `{project}` the repository.
"""

from __future__ import annotations

_ATTEMPT = """
import ctypes, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action, bad=lambda result: True):
    try:
        result = action()
    except BaseException as error:
        print("refused:", type(error).__name__)
        return
    print("ESCAPED: %r" % (result,) if bad(result) else "harmless")
def syscall(number, *args):
    def call():
        if libc.syscall(number, *args) == -1:
            raise OSError(ctypes.get_errno(), "refused")
        return number
    return call
"""

_BODIES: dict[str, str] = {
    # network
    "tcp": "attempt(lambda: socket.create_connection(('127.0.0.1', {port}), 2))",
    "udp": "s = None\nattempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port})))",
    "dns": "attempt(lambda: socket.getaddrinfo('example.com', 80))",
    "ipv6": "attempt(lambda: socket.socket(socket.AF_INET6))",
    "packet socket": "attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
    "vsock": "attempt(lambda: socket.socket(socket.AF_VSOCK))",
    "netlink": "attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))",
    "abstract socket": "s = socket.socket(socket.AF_UNIX)\nattempt(lambda: s.connect('\\0{name}'))",
    # host files
    "passwd": "attempt(lambda: open('/etc/passwd').read())",
    "shadow": "attempt(lambda: open('/etc/shadow').read())",
    "root's home": "attempt(lambda: os.listdir('/root'))",
    "home": "attempt(lambda: os.listdir('/home'))",
    "project": "attempt(lambda: os.listdir('{project}'))",
    "host file": "attempt(lambda: open('{secret}').read())",
    "symlink": "os.symlink('{secret}', '/tmp/link')\nattempt(lambda: open('/tmp/link').read())",
    "symlink up": "os.symlink('../../../../../..{secret}', '/tmp/link')\nattempt(lambda: open('/tmp/link').read())",
    "hard link": "attempt(lambda: os.link('/python/bin/python3', '/tmp/python3'))",
    "other folders": "extra = set(os.listdir('/')) - set('dev judge lib lib32 lib64 python tmp usr'.split())\n"
    "attempt(lambda: sorted(extra), bad=bool)",
    "disks": "import glob\nattempt(lambda: [open(p, 'rb') for p in ('/dev/vda', '/dev/sda', '/dev/mem', '/dev/kmsg')])",
    "sys": "attempt(lambda: os.listdir('/sys'))",
    "write the root": "attempt(lambda: open('/new', 'w'))",
    "write the runtime": "import json\nattempt(lambda: open(json.__file__, 'a'))",
    "write the judge": "attempt(lambda: open('/judge/tasks/grade/code/inside/drive.py', 'a'))",
    "chmod the judge": "attempt(lambda: os.chmod('/judge/tasks/grade/code/inside/drive.py', 0o777))",
    "shared memory": "attempt(lambda: open('/dev/shm/x', 'w'))",
    "run a shell": "attempt(lambda: os.execv('/bin/sh', ['sh', '-c', 'echo ESCAPED']))",
    "posix.system": "import posix\nattempt(lambda: posix.system('echo ESCAPED'), bad=lambda code: code == 0)",
    "environment": "attempt(lambda: [v for v in os.environ.values() if 'secret' in v], bad=bool)",
    # /proc
    "proc": "attempt(lambda: os.listdir('/proc'), bad=bool)",
    "proc root": "attempt(lambda: open('/proc/1/root{secret}').read())",
    "proc environ": "attempt(lambda: open('/proc/%d/environ' % os.getppid(), 'rb').read())",
    "proc memory": "attempt(lambda: open('/proc/%d/mem' % os.getppid(), 'rb'))",
    # privileges
    "setuid": "attempt(lambda: os.setuid(0))",
    "user namespace": "attempt(lambda: libc.unshare(0x10000000), bad=lambda code: code == 0)",
    "clone user namespace": "attempt(syscall(56, 0x10000000 | 17, 0, 0, 0, 0))",
    "mount": "attempt(lambda: libc.mount(b'none', b'/tmp', b'tmpfs', 0, None), bad=lambda code: code == 0)",
    "mount proc": "attempt(lambda: libc.mount(b'proc', b'/tmp', b'proc', 0, None), bad=lambda code: code == 0)",
    "chroot": "attempt(lambda: os.chroot('/tmp'))",
    "block device": "attempt(lambda: os.mknod('/tmp/disk', 0o60666, os.makedev(254, 0)))",
    "host name": "attempt(lambda: socket.sethostname('owned'))",
    "limits": "import resource\nattempt(lambda: [resource.setrlimit(w, (-1, -1)) for w in (resource.RLIMIT_AS,)])",
    "bpf": "attempt(syscall(321, 0, 0, 0))",
    "io_uring": "attempt(syscall(425, 8, ctypes.byref(ctypes.create_string_buffer(200))))",
    "keyring": "attempt(syscall(250, 0, -3, 1))",
    "memfd": "attempt(lambda: os.memfd_create('x'))",
    "system v memory": "attempt(syscall(29, 0, 1 << 20, 0o1600))",
    "ptrace": "attempt(syscall(101, 16, os.getppid(), 0, 0))",
    "process_vm_readv": "attempt(syscall(310, os.getppid(), 0, 0, 0, 0, 0))",
    # signals
    "kill init": "os.kill(1, 9)\nos.kill(1, signal.SIGTERM)\ntime.sleep(0.1)\nprint('contained')",
    "kill the parent": "attempt(lambda: os.kill(os.getppid(), 9), bad=lambda _: False)\ntime.sleep(5)",
    "stop the parent": "os.kill(os.getppid(), signal.SIGSTOP)\nprint('contained')",
    "kill everyone": "os.kill(-1, 9)\ntime.sleep(0.1)",
    "kill the judge": "attempt(lambda: os.kill({pid}, 9))",
    "type into the terminal": "import fcntl, termios\nattempt(lambda: fcntl.ioctl(0, termios.TIOCSTI, b'x'))",
    "leaked files": "attempt(lambda: [fd for fd in range(3, 60) if not _closed(fd)], bad=bool)",
    # resources: the host measures
    "fork bomb": "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    "fork count": "n = 0\nfor _ in range(500):\n    try:\n        pid = os.fork()\n    except OSError:\n        break\n"
    "    if pid == 0:\n        time.sleep(60)\n    n += 1\nattempt(lambda: n, bad=lambda n: n > 20)",
    "thread bomb": "import threading\nn = 0\ntry:\n    for n in range(500):\n        threading.Thread(target=time.sleep,"
    " args=(60,), daemon=True).start()\nexcept RuntimeError:\n    pass\nattempt(lambda: n, bad=lambda n: n > 20)",
    "outliving child": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        os.execv('/python/bin/python3', ['python3', '-c', 'import time; time.sleep(60)  # {name}'])\nprint('gone')",
    "memory": "attempt(lambda: len(bytearray(2 << 30)))",
    "mapped memory": "import mmap\nattempt(lambda: mmap.mmap(-1, 2 << 30))",
    "disk": "def fill():\n    with open('/tmp/big', 'wb') as f:\n        for _ in range(300):\n            f.write(b'x' * (1 << 20))\n"
    "attempt(fill)",
    "disk in many files": "def fill():\n    for i in range(300):\n        with open('/tmp/%d' % i, 'wb') as f:\n"
    "            f.write(b'x' * (1 << 20))\nattempt(fill)",
    "output flood": "while True:\n    os.write(1, b'x' * 65536)",
    "error flood": "while True:\n    os.write(2, b'x' * 65536)",
    "ignore the time limit": "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "while True:\n    pass",
    "sleep": "time.sleep(600)",
    # the tests
    "expected output in memory": "import gc\nneedle = '-'.join(['never', 'printed'])\nseen = [o for o in gc.get_objects()"
    " if isinstance(o, (list, tuple, dict)) and o is not globals() and needle in repr(o)]\nattempt(lambda: len(seen), bad=bool)",
    "expected output in frames": "frame = sys._getframe()\nwhile frame.f_back:\n    frame = frame.f_back\n"
    "    attempt(lambda: 'never-' + 'printed' in repr(frame.f_locals), bad=bool)",
}
_CLOSED = """
def _closed(fd):
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False
"""


def probes(*, secret: str, port: int, name: str, pid: int, project: str) -> dict[str, str]:
    """Name and source text of every probe."""
    values = {"{secret}": secret, "{port}": str(port), "{name}": name, "{pid}": str(pid), "{project}": project}
    programs = {}
    for title, body in _BODIES.items():
        for mark, value in values.items():
            body = body.replace(mark, value)
        programs[title] = _ATTEMPT + _CLOSED + body + "\n"
    return programs
