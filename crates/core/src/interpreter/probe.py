import sys

# As it will be for workers: no folder of this process.
if sys.path and sys.path[0] == "":
    del sys.path[0]

bridge = core = ""
if sys.version_info >= (3, 8):
    import os
    from importlib.machinery import EXTENSION_SUFFIXES
    from importlib.util import find_spec

    def folder(name):
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            return ""
        origin = spec.origin if spec else None
        return os.path.dirname(os.path.abspath(origin)) if origin else ""

    bridge = folder("snakepit_bridge")
    host = folder("snakepit")
    for suffix in EXTENSION_SUFFIXES if host else ():
        path = os.path.join(host, "_core" + suffix)
        if os.path.isfile(path):
            core = path
            break

name = getattr(getattr(sys, "implementation", None), "name", "python")
version = ".".join([str(number) for number in sys.version_info[:3]])
parts = ["snakepit-probe", name, version, bridge, core, "\n"]
if sys.version_info >= (3,):
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\0".join([part.encode("utf-8", "surrogateescape") for part in parts]))
else:
    sys.stdout.write("\0".join(parts))
