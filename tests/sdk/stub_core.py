"""Body of a ``snakepit._core`` for the tests of boot.py; run by the C module built in test_boot.

Forks no shim, and reports what it finds over the control socket instead of serving calls. Loaded
before ``site``, so the imports at the top are built in.
"""

import posix
import sys

control = -1


def become_worker():
    global control
    control = posix.dup(0)
    null = posix.open("/dev/null", posix.O_RDWR)
    posix.dup2(null, 0)
    posix.close(null)


def report_boot_error(message):
    posix.write(control, b"E" + message.encode())


def start_message():
    import json

    return json.loads(posix.environ[b"STUB_START"])


def attach(bridge_version):
    return Line()


class Line:
    telemetry = None

    @property
    def initialize(self):
        return {
            "adapter_kind": "module",
            "adapter_location": "stub_adapter",
            "adapter_qualname": "Adapter",
            "arguments": {},
            "pool": "default",
            "slot": 0,
            "generation": 1,
            "device": None,
            "profile": "process",
            "capacity": 1,
            "thread_safety_checks": False,
            "errors": [],
            "unserializable": None,
        }

    def ready(self, tools, gil):
        pass

    def start_failed(self, failure, adapter_source, permanent):
        posix.write(control, b"F" + "\n".join(failure).encode())

    def report(self, topic, text):
        pass

    def serve(self, tools, current, describe, suggest):
        import json

        found = tools["look"][0]()
        found["core"] = sys.modules["snakepit._core"].__name__
        posix.write(control, b"R" + json.dumps(found).encode())
        return True
