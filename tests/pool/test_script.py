"""Adapters of the running program, and programs that forgot the guard."""

from __future__ import annotations

import time

from .conftest import Host

CLASS = """
import sys
import snakepit
from snakepit_bridge import BaseAdapter, tool

class Mine(BaseAdapter):
    @tool
    def ping(self):
        return "pong"

    @tool
    def name(self):
        return [__name__, Mine.__module__]

    class Inner:
        @tool
        def ping(self):
            return "inner"
"""

GUARDED = (
    CLASS
    + """
if __name__ == "__main__":
    with snakepit.Pool(Mine, size=2) as pool:
        print(pool.execute("ping"), *pool.execute("name"))
    with snakepit.Pool(Mine.Inner, size=1) as pool:
        print(pool.execute("ping"))
"""
)

UNGUARDED = (
    CLASS
    + """
with snakepit.Pool(Mine, size=1) as pool:
    print(pool.execute("ping"))
"""
)


def test_class_of_a_script(host: Host) -> None:
    code, out, err = host.run_script(GUARDED)
    assert (code, err) == (0, "")
    assert out.splitlines() == ["pong __snakepit_main__ __snakepit_main__", "inner"]


def test_the_script_may_change_its_directory(host: Host) -> None:
    script = host.write(GUARDED.replace('"__main__":', '"__main__":\n    import os; os.chdir("/")'))
    code, out, err = host.run(script.name)
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "inner"


def test_class_of_a_module_that_is_run(host: Host) -> None:
    host.write("", "my_package/__init__.py")
    host.write("VALUE = 'relative'\n", "my_package/other.py")
    host.write(
        GUARDED.replace("import sys", "from .other import VALUE").replace('"pong"', "VALUE"),
        "my_package/job.py",
    )
    code, out, err = host.run("-m", "my_package.job")
    assert (code, err) == (0, "")
    assert out.startswith("relative")


def test_class_of_a_package_that_is_run(host: Host) -> None:
    host.write("", "my_package/__init__.py")
    host.write(GUARDED, "my_package/__main__.py")
    code, out, err = host.run("-m", "my_package")
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "inner"


def test_a_module_next_to_the_script(host: Host) -> None:
    host.write(CLASS, "my_adapters.py")
    code, out, err = host.run_script(
        "import snakepit\n"
        "with snakepit.Pool('my_adapters:Mine', size=1) as pool:\n"
        "    print(pool.execute('ping'))\n"
    )
    assert (code, out, err) == (0, "pong\n", "")


def test_an_unguarded_script_is_shown_the_guard(host: Host) -> None:
    begin = time.monotonic()
    code, out, err = host.run_script(UNGUARDED)
    assert time.monotonic() - begin < 30
    assert (code, out) == (1, "")
    assert "AdapterSourceError" in err
    assert 'if __name__ == "__main__":' in err


def test_an_unguarded_module_is_shown_the_guard(host: Host) -> None:
    host.write(UNGUARDED.replace("Pool(Mine,", "Pool('unguarded:Mine',"), "unguarded.py")
    code, _, err = host.run("-c", "import unguarded")
    assert code == 1
    assert 'if __name__ == "__main__":' in err


def test_minus_c(host: Host) -> None:
    code, _, err = host.run("-c", UNGUARDED)
    assert code == 1
    assert "AdapterSourceError" in err
    assert '"my_adapters:Mine"' in err, "the way out"


def test_stdin(host: Host) -> None:
    code, _, err = host.run("-", stdin=UNGUARDED)
    assert code == 1
    assert '"my_adapters:Mine"' in err


def test_inline_is_a_way_out_of_minus_c(host: Host) -> None:
    code, out, err = host.run("-c", UNGUARDED.replace("size=1", "size=1, inline=True"))
    assert (code, out, err) == (0, "pong\n", "")


def test_what_stands_under_the_guard_does_not_exist_for_workers(host: Host) -> None:
    indented = CLASS.split("class Mine")[1].replace("\n", "\n    ")
    code, _, err = host.run_script(
        CLASS.split("class Mine")[0]
        + 'if __name__ == "__main__":\n'
        + f"    class Mine{indented}\n"
        + "    with snakepit.Pool(Mine, size=1) as pool:\n"
        + "        pool.execute('ping')\n"
    )
    assert code == 1
    assert "AdapterSourceError" in err
    assert "Mine" in err
