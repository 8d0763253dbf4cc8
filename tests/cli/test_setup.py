"""An environment for workers: made once, whole, and never of what is somebody else's."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from pool.conftest import until

from snakepit._cli import environment
from snakepit._cli.outcome import Failed

from . import distributions
from .conftest import Command, Host


def test_an_adapter_gets_what_it_needs(command: Command) -> None:
    distributions.project(Path("scales"), Path("links"))
    offline = ["--find-links", "links", "--no-index"]
    status, out, err = command("setup", "scales", *offline)
    assert status == 0, err
    assert out == f'python = "{Path(".venv-worker").absolute()}"\n'
    assert "a worker answered there: Python" in err
    os.rename("scales", "gone")  # It is installed; nothing leads back.
    python = [".venv-worker/bin/python", "-I", "-c"]
    assert os.spawnv(os.P_WAIT, python[0], [*python, "import fangs, scales, snakepit_bridge"]) == 0
    assert command("run", "scales:Scales", "length", "--python", ".venv-worker").out == "7\n"

    Path("needs.txt").write_text("fangs\n")
    status, out, err = command("setup", "needs.txt", *offline, "--json")
    assert status == 0, err
    told = json.loads(out)
    assert not told.pop("created"), "what works is kept"
    assert told == {
        "python": str(Path(".venv-worker").absolute()),
        "version": ".".join(map(str, sys.version_info[:3])),
        "end": "native",
    }

    Path("needs.txt").write_text("teeth\n")
    status, out, err = command("setup", "needs.txt", *offline)
    assert (status, out) == (1, "")
    assert "No matching distribution found for teeth" in err


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("folder", "was not made by snakepit setup"),
        ("environment", "was not made by snakepit setup"),
        ("file", "is no folder"),
        ("link", "is a link"),
        ("other Python", "was made from /usr/bin/python9 9.9.9"),
    ],
)
def test_what_is_foreign_is_not_touched(command: Command, there: str, said: str) -> None:
    target = Path(".venv-worker")
    match there:
        case "file":
            target.touch()
        case "link":
            Path("elsewhere").mkdir()
            target.symlink_to("elsewhere")
        case _:
            target.mkdir()
    if there == "environment":
        (target / "pyvenv.cfg").write_text("home = /usr/bin\n")
    elif there == "folder":
        (target / "data").touch()
    elif there == "other Python":
        made = {"base": "/usr/bin/python9", "version": "9.9.9"}
        (target / environment.MARKER).write_text(json.dumps(made))
    before = {path: path.lstat().st_mtime_ns for path in Path().rglob("*")}
    status, out, err = command("setup", "--no-index")
    assert (status, out) == (1, "")
    assert said in err
    assert "--dir" in err.splitlines()[1]
    assert {path: path.lstat().st_mtime_ns for path in Path().rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no folder or file nothing"),
        (["my_app:Model"], "is the name of a class"),
        (["empty"], "empty is no project"),
        (["--python", "/bin/true"], "/bin/true is no Python that answers"),
        (["--python", "/nowhere"], "there is no interpreter /nowhere"),
    ],
)
def test_what_cannot_be_done_is_told(command: Command, arguments: list[str], said: str) -> None:
    Path("empty").mkdir()
    status, out, err = command("setup", *arguments)
    assert (status, out) == (1, "")
    assert said in err
    assert not Path(".venv-worker").exists()


def interpreter(**told: object) -> environment.Interpreter:
    has = {
        "path": "/usr/bin/python3",
        "base": "/usr/bin/python3",
        "version": "3.12.1",
        "implementation": "cpython",
        "free_threaded": False,
        "venv": True,
    }
    return environment.Interpreter(**{**has, **told})  # type: ignore[arg-type]


def test_which_python_fits() -> None:
    environment.refuse_unfit(interpreter())
    environment.refuse_unfit(interpreter(version="3.10.0"))
    with pytest.raises(Failed, match=r"3\.9\.1, and workers need 3\.10"):
        environment.refuse_unfit(interpreter(version="3.9.1"))
    with pytest.raises(Failed) as caught:
        environment.refuse_unfit(interpreter(venv=False))
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith("apt install python3.12-venv")


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, "snakepit-bridge==1.0"),
        ({"version": "3.10.4"}, "snakepit-bridge[grpc]==1.0"),
        ({"free_threaded": True}, "snakepit-bridge[grpc]==1.0"),
        ({"implementation": "pypy"}, "snakepit-bridge[grpc]==1.0"),
    ],
)
def test_what_the_end_of_the_line_needs_is_installed(told: dict[str, object], wanted: str) -> None:
    assert environment.requirement(interpreter(**told), "1.0") == wanted


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    place, other = (environment.Environment(tmp_path / "env") for _ in range(2))
    with (
        place.claimed(interpreter()),
        pytest.raises(Failed, match="at work"),
        other.claimed(interpreter()),
    ):
        pass
    with other.claimed(interpreter()):
        pass


def test_a_signal_leaves_nothing_at_work(host: Host, tmp_path: Path) -> None:
    slow = tmp_path / "slow-python"
    told = json.dumps([str(slow), str(slow), "3.12.1", "cpython", False, True])
    slow.write_text(
        "#!/bin/sh\n"
        f"case \"$*\" in *ensurepip*) echo '{told}'; exit ;; esac\n"
        f"touch {tmp_path}/making; sleep 600 & wait\n"
    )
    slow.chmod(0o755)
    process = host.start("-m", "snakepit", "setup", "--python", slow)
    until((tmp_path / "making").exists, "the environment is being made", seconds=60)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert "Traceback" not in err
