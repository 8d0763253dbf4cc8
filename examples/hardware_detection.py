"""What this process may compute with, and a device of its own for each worker."""

from __future__ import annotations

import os
import time

import snakepit
from snakepit import hardware
from snakepit_bridge import BaseAdapter, tool


class Model(BaseAdapter):
    def initialize(self) -> None:
        # A worker sees its own device alone, so this is right in every one of them:
        # self.model = load().to(self.worker.torch_device)
        self.threads = os.environ["OMP_NUM_THREADS"]

    @tool
    def where(self) -> str:
        time.sleep(0.1)  # so that no worker takes all the calls
        return f"worker {self.worker.slot}: {self.worker.device}, numeric threads: {self.threads}"


def main() -> None:
    here = hardware.detect()
    print(f"accelerator: {here.accelerator}, on {here.platform}")
    usable = here.cpu.usable
    print(f"processor: {here.cpu.model or 'unnamed'}, {here.cpu.threads} threads")
    print(f"of these for this process: {usable.cores}, and {usable.memory_mb} MiB of memory")
    for device in here.cuda.devices if here.cuda else []:
        print(f"cuda:{device.index}: {device.name}, {device.memory_total_mb} MiB")
    for gpu in here.rocm.devices if here.rocm else []:
        print(f"rocm:{gpu.index}: {gpu.name}, {gpu.memory_total_mb} MiB")

    has = hardware.capabilities()
    flags = ("cuda", "rocm", "mps", "avx2", "avx512", "neon")
    print("capabilities:", {name: getattr(has, name) for name in flags})

    best = hardware.select_with_fallback(["cuda", "rocm", "mps", "cpu"])
    print("first that is there of cuda, rocm, mps, cpu:", best)
    try:
        hardware.select("cuda:900")
    except snakepit.DeviceNotAvailable as error:
        print("select:", error)

    # For a lock file: the same on this machine next time, whatever is busy then.
    print("identity:", ", ".join(hardware.identity()))

    # Workers get the devices in turn. One that is not there is told before any worker starts.
    every = [
        f"{kind}:{device.index}"
        for kind, found in (("cuda", here.cuda), ("rocm", here.rocm))
        for device in (found.devices if found else [])
    ]
    with snakepit.Pool(Model, size=2, devices=every or ["cpu"]) as pool:
        pool.await_ready()
        for told in sorted(pool.map("where", [{}, {}])):
            print(told)


if __name__ == "__main__":
    main()
