"""The walls: one bubblewrap command line that starts the sandbox's Python with nothing else in reach.

Inside: own user, PID, network, mount, IPC and UTS namespaces (no further user namespaces); a read-only root of the
C library, this interpreter's standard library and our `inside/` folder; five device nodes; a small tmpfs /tmp; no
/proc, no /etc, no home, no project, no shell; user nobody, no capability, no new privileges, a system-call filter.

A judge that runs as root starts two layers: the outer one makes the runtime reachable for nobody (a root's home
is closed to others) and gives root away for good, so that limits per user bind; the inner one is the same as for
everybody else.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from tasks.grade.code.verdict import IsolationError

NOBODY = "65534"
DEVICES = ("null", "zero", "full", "random", "urandom")
ROOT_ENTRIES = frozenset({"dev", "judge", "lib", "lib32", "lib64", "libx32", "python", "tmp", "usr"})
"""Everything that may be seen in the sandbox's root."""
INSIDE = Path(__file__).parent / "inside"
HOW_TO = (
    "Model-written code only runs in a Linux sandbox. Install bubblewrap 0.8 or newer (`apt-get install bubblewrap`, "
    "`dnf install bubblewrap`) and allow user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1` (Debian), "
    "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu 24.04), `sysctl -w "
    "user.max_user_namespaces=10000`; in Docker `--security-opt seccomp=unconfined --cap-add SYS_ADMIN`."
)
_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 the sandbox's own tmpfs
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/python/lib",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": "/judge",
    "PYTHONUTF8": "1",
}
_START = "from tasks.grade.code.inside.runner import main; main({fd})"


def find_tool(name: str) -> str:
    """Path of a tool below /usr. IsolationError with what to install when it is missing."""
    path = shutil.which(name) if sys.platform == "linux" else None
    if path is None or not os.path.realpath(path).startswith("/usr/"):
        raise IsolationError(f"no isolation: `{name}` was not found below /usr. {HOW_TO}")
    return os.path.realpath(path)


def sandbox_command(*, control_fd: int, seccomp_fd: int, sync_fd: int, disk_bytes: int) -> list[str]:
    """Command that starts one sandbox.

    Args:
        control_fd: socket on which `inside/runner.py` takes its jobs.
        seccomp_fd: file with the filter of `seccomp.py`.
        sync_fd: held open by the outermost init until nothing of the sandbox lives.
        disk_bytes: size of /tmp.
    """
    bwrap = find_tool("bwrap")
    as_root = os.geteuid() == 0
    runtime = _runtime()
    inner = [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--uid", NOBODY, "--gid", NOBODY]
    inner += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox", "--chdir", "/"]
    for name, value in _ENVIRONMENT.items():
        inner += ["--setenv", name, value]
    inner += _libraries()
    inner += _runtime_binds([(target if as_root else source, target) for source, target in runtime])
    site_packages = f"{_stdlib_target()}/site-packages"
    if (Path(os.__file__).parent / "site-packages").is_dir():
        inner += ["--tmpfs", site_packages, "--remount-ro", site_packages]
    inner += ["--tmpfs", "/dev"]
    for device in DEVICES:
        inner += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    inner += ["--remount-ro", "/dev", "--size", str(disk_bytes), "--tmpfs", "/tmp", "--remount-ro", "/"]  # noqa: S108
    inner += ["--seccomp", str(seccomp_fd)]
    if not as_root:
        inner += ["--sync-fd", str(sync_fd)]
    inner += ["/python/bin/python3", "-S", "-s", "-P", "-B", "-c", _START.format(fd=control_fd)]
    return _give_root_away(bwrap, runtime, sync_fd) + inner if as_root else inner


def _give_root_away(bwrap: str, runtime: list[tuple[str, str]], sync_fd: int) -> list[str]:
    outer = [bwrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    outer += ["--clearenv", "--ro-bind", "/usr", "/usr", *_links(), "--proc", "/proc", "--dev", "/dev"]
    outer += ["--tmpfs", "/tmp", "--sync-fd", str(sync_fd)]  # noqa: S108
    outer += _runtime_binds(runtime)
    outer += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"]
    drop = [find_tool("setpriv"), "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"]
    return [*outer, *drop, "--"]


def _libraries() -> list[str]:
    binds = []
    for folder in ("/usr/lib", "/usr/lib32", "/usr/lib64"):
        if Path(folder).is_dir():
            binds += ["--ro-bind", folder, folder]
    return binds + _links()


def _links() -> list[str]:
    """/lib and its like: links into /usr on today's distributions, folders on older ones."""
    binds = []
    for folder in (Path("/lib"), Path("/lib32"), Path("/lib64")):
        if folder.is_symlink():
            binds += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            binds += ["--ro-bind", str(folder), str(folder)]
    return binds


def _runtime_binds(pairs: list[tuple[str, str]]) -> list[str]:
    """Read-only binds, with their parent folders open to nobody (bwrap would make them 0700)."""
    folders = {str(parent) for _source, target in pairs for parent in Path(target).parents} - {"/"}
    options = []
    for folder in sorted(folders):
        options += ["--perms", "0755", "--dir", folder]
    for source, target in pairs:
        options += ["--ro-bind", source, target]
    return options


def _stdlib_target() -> str:
    return f"/python/{sys.platlibdir}/{Path(os.__file__).parent.name}"


def _runtime() -> list[tuple[str, str]]:
    """(outside, inside) of the interpreter, its standard library, its shared library and our `inside/`."""
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    pairs = [(executable, "/python/bin/python3"), (os.path.realpath(Path(os.__file__).parent), _stdlib_target())]
    shared = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
    if ".so" in shared.name and shared.is_file():
        pairs.append((os.path.realpath(shared), f"/python/lib/{shared.name}"))
    pairs.append((os.path.realpath(INSIDE), "/judge/tasks/grade/code/inside"))
    return pairs
