"""First code of a worker. Becomes one, or says why not.

.. code-block:: text

    python -S boot.py LINE CORE [PROGRAM ARGUMENT...]

    does this interpreter fit? -> load CORE, or _grpcio.process in its place
        -> become_worker (forks; the shim stays behind)
        -> site -> start message -> sys.path, snakepit_bridge -> _worker.main
    or, with PROGRAM, an absolute path:
        -> that program takes the worker's place, and its control socket

LINE is the end of the line that serves: ``native``; ``grpcio``, the one in pure Python; or
``auto``, the first of them that this interpreter can load. CORE is the native extension's path.

Runs before ``site`` and imports next to nothing, since the shim is forked from this state and what
is loaded here stays in its memory. Any Python must be able to parse it, down to 2.7 (so ASCII
only): an old one has to fail with a sentence, not with a syntax error.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401

NEEDED = (3, 11)  # by the native end
OLDEST = (3, 10)  # that the grpcio end runs on
REFUSED = 78  # EX_CONFIG

WANTED = (
    "a Snakepit worker needs CPython 3.11 or newer, or any Python from 3.10 on with grpcio, "
    "msgpack and protobuf"
)


def misfit(core_path):
    # type: (str) -> str
    """Why this interpreter cannot load the extension; empty when it can."""
    if sys.version_info < NEEDED or kind_of_python() != "cpython":
        needed = "CPython %d.%d or newer" % NEEDED
        return "%s is %s, and the native end needs %s" % (sys.executable, found(), needed)

    import _imp

    file_name = core_path.rpartition("/")[2]
    suffix = file_name[file_name.find(".") :]
    free_threaded = "t" in getattr(sys, "abiflags", "")
    # Loading by path skips the import system's own check, and a wrong ABI ends in a crash.
    if suffix not in _imp.extension_suffixes() or (free_threaded and suffix == ".abi3.so"):
        kind = "free-threaded " if free_threaded else ""
        return "%s is %s%s and cannot load %s, which was built for another interpreter" % (
            sys.executable,
            kind,
            found(),
            core_path,
        )
    return ""


def kind_of_python():
    # type: () -> str
    return getattr(getattr(sys, "implementation", None), "name", "python")


def found():
    # type: () -> str
    return "%s %s" % (kind_of_python(), sys.version.split()[0])


def refuse(reason):
    # type: (str) -> None
    """Tell the host over the control socket, which is still descriptor 0, and exit."""
    import posix

    text = reason + '. Name one that fits: Pool(..., python="/path/to/python%d.%d")' % NEEDED
    if sys.version_info >= (3,):
        posix.write(0, b"E" + text.encode("utf-8", "replace"))
    else:
        posix.write(0, b"E" + text)
    sys.exit(REFUSED)


def load_end(line, core_path):
    # type: (str, str) -> Any
    """The module that makes this process a worker and is its end of the line."""
    if sys.version_info < OLDEST:
        refuse("%s is %s; %s" % (sys.executable, found(), WANTED))
    reason = 'line="grpcio" asks for this one'
    if line != "grpcio":
        reason = misfit(core_path)
        if not reason:
            try:
                return load_core(core_path)
            except ImportError as error:
                reason = "%s cannot load %s: %s" % (sys.executable, core_path, error)
        if line == "native":
            refuse(reason)
    try:
        return load_process(reason)
    except ImportError as error:
        refuse(
            "%s cannot run the grpcio end of the line either: %s; nor the native one: %s"
            % (sys.executable, error, reason)
        )


def load_core(path):
    # type: (str) -> Any
    import _frozen_importlib
    import _frozen_importlib_external as external

    loader = external.ExtensionFileLoader("snakepit._core", path)
    spec = external.spec_from_file_location("snakepit._core", path, loader=loader)
    return _frozen_importlib._load(spec)  # type: ignore[attr-defined]


def load_process(why_not_native):
    # type: (str) -> Any
    """What stands for ``_core``; under its own name, though there is no parent of it yet."""
    import _frozen_importlib
    import _frozen_importlib_external as external

    name = "snakepit_bridge._grpcio.process"
    folder = sys.argv[0].rpartition("/")[0] + "/_grpcio/process"
    spec = external.spec_from_file_location(
        name, folder + "/__init__.py", submodule_search_locations=[folder]
    )
    process = _frozen_importlib._load(spec)  # type: ignore[attr-defined]
    process.why_not_native = why_not_native
    return process


def become_program(core, command):
    # type: (Any, list[str]) -> None
    """Give way to a worker that is no Python; it reads the start message itself."""
    try:
        core.become_program(command)
    except (OSError, ValueError) as error:
        core.report_boot_error("cannot run %s: %s" % (command[0], error))
        sys.exit(REFUSED)


def enter_site():
    # type: () -> None
    """What ``-S`` put off, less the traces of how this process was started."""
    # The folder of this file is inside of the SDK: its modules are not for everyone to import.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    sys.argv = [""]
    # Else a multiprocessing child of the adapter would take this file for the user's program.
    sys.modules["__main__"] = type(sys)("__main__")

    import site

    site.main()


def load_worker(bridge_path):
    # type: (str) -> Any
    """``snakepit_bridge._worker`` of the copy in ``bridge_path``; nothing else of its parent.

    Another version may be installed in this interpreter; the host's end was tested with its own.
    """
    import _frozen_importlib
    import _frozen_importlib_external as external

    folder = bridge_path.rstrip("/")
    if folder:
        spec = external.spec_from_file_location(
            "snakepit_bridge", folder + "/__init__.py", submodule_search_locations=[folder]
        )
        _frozen_importlib._load(spec)  # type: ignore[attr-defined]

    from snakepit_bridge import _worker

    return _worker


def run():
    # type: () -> None
    line, core_path, program = sys.argv[1], sys.argv[2], sys.argv[3:]
    core = load_end(line, core_path)
    core.become_worker()
    if program:
        become_program(core, program)
    enter_site()
    start = core.start_message()
    if start["sys_path"]:
        sys.path[:] = start["sys_path"]
    try:
        worker = load_worker(start["bridge_path"])
    except (ImportError, OSError) as error:
        mend = "it is the host's copy; install snakepit-bridge there again"
        if not start["bridge_path"]:
            mend = "mend it with: %s -m pip install snakepit-bridge" % sys.executable
        core.report_boot_error(
            "%s cannot import snakepit_bridge: %s; %s" % (sys.executable, error, mend)
        )
        sys.exit(REFUSED)
    sys.exit(worker.main(core))


if __name__ == "__main__":
    run()
