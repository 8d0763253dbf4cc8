"""The parts of test_shim, as a program: ``python -S parts.py ROLE``. A worker, a host, or
something that an adapter started.

Loads the package of the shim as ``boot`` does, before ``site``; whatever goes wrong, it ends after
two minutes.
"""

import _frozen_importlib
import _frozen_importlib_external as external
import _signal
import posix
import sys

ROLE = sys.argv[1]
PROCESS = posix.environ[b"SNAKES_PROCESS"].decode()


def load():
    name = "snakepit_bridge._grpcio.process"
    spec = external.spec_from_file_location(
        name, PROCESS + "/__init__.py", submodule_search_locations=[PROCESS]
    )
    return _frozen_importlib._load(spec)


def start(role):
    """As an adapter starts a program."""
    command = [sys.executable, "-S", __file__, role]
    posix.posix_spawn(sys.executable, command, posix.environ)


def wait_for_the_end():
    while True:
        _signal.pause()


def check(name, found, wanted):
    if found != wanted:
        raise AssertionError(f"{name}: {found!r}, not {wanted!r}")


def play_worker():
    import resource

    process = load()
    process.become_worker()
    check("session", posix.getsid(0), posix.getpid())
    check("core limit", resource.getrlimit(resource.RLIMIT_CORE)[0], 0)
    check("stdin", posix.readlink("/proc/self/fd/0"), "/dev/null")
    check("mask", _signal.pthread_sigmask(_signal.SIG_BLOCK, ()), set())
    control = process._control
    text = control.await_start()
    if text == b"family":
        for role in ("sleeper", "daemon", "double"):
            start(role)
    if text.startswith(b"exec "):
        process.become_program(text[5:].decode().split("\n"))
    control.boot_error(f"ready {posix.getppid()}")
    while message := control.receive():
        kind, number = message[:1], int.from_bytes(message[1:9], "little")
        if kind == b"P":
            control.answer(message[1:])
        elif kind == b"C":
            posix._exit(number)
        elif kind == b"G":
            posix.kill(posix.getpid(), number)
        elif kind == b"H":
            hold_the_interpreter()
    wait_for_the_end()  # does not even leave when its host is gone: the shim must see to it


def hold_the_interpreter():
    import ctypes

    ctypes.PyDLL(None).sleep(120)  # unlike CDLL, it keeps the lock


def play_daemon():
    """Does all it can to outlive its parents."""
    posix.setsid()
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    wait_for_the_end()


def play_host():
    """A host with one worker and its family, and a child that holds every descriptor."""
    from _socket import AF_UNIX, SOCK_SEQPACKET, socketpair

    if posix.environ.get(b"SNAKES_CARELESS"):
        _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
    command = [sys.executable, "-S", __file__, "worker"]
    actions = [(posix.POSIX_SPAWN_DUP2, theirs.fileno(), 0)]
    posix.posix_spawn(sys.executable, command, posix.environ, file_actions=actions)
    theirs.close()
    first = ours.recv(100)
    check("first", first[:1], b"W")
    ours.send(b"Sfamily")
    check("second", ours.recv(100)[:6], b"Eready")
    if posix.environ.get(b"SNAKES_CARELESS"):
        ours.send(b"C" + (3).to_bytes(8, "little"))
        wanted = b"X" + (1).to_bytes(4, "little") + (3).to_bytes(4, "little")
        check("end", ours.recv(100), wanted)
        return
    if posix.environ.get(b"SNAKES_HEADLESS"):
        go_on_without_first_thread(int.from_bytes(first[1:5], "little"))
    child = posix.fork()
    if child:
        posix.write(1, b"%d\n" % child)
    wait_for_the_end()


def go_on_without_first_thread(worker):
    """As a program whose main thread calls ``pthread_exit``: ``/proc`` shows it as ended."""
    import ctypes
    from _thread import start_new_thread

    def go_on():
        while True:
            with open("/proc/self/stat") as stat:
                if ") Z " in stat.read():
                    break
        posix.write(1, b"%d\n" % worker)
        # Nobody else is there any more who could hold the interpreter.
        wait_for_the_end()

    start_new_thread(go_on, ())
    ctypes.CDLL(None).pthread_exit(None)


_signal.alarm(120)
{
    "worker": play_worker,
    "sleeper": wait_for_the_end,
    "daemon": play_daemon,
    "double": lambda: start("daemon"),
    "host": play_host,
}[ROLE]()
