"""Loaded by every Python below benchmarks/startup.py: notes how much CPU time a process spends on importing."""

import atexit
import builtins
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_spent = 0.0
_inside = threading.local()


def _timed(function: Callable[..., Any]) -> Callable[..., Any]:
    def outermost(*args: Any, **kwargs: Any) -> Any:
        global _spent
        if getattr(_inside, "importing", False):
            return function(*args, **kwargs)
        _inside.importing = True
        start = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            _inside.importing = False
            _spent += time.thread_time() - start

    return outermost


@atexit.register
def _write() -> None:
    folder = os.environ.get("SHAPELENS_STARTUP")
    if not folder:
        return
    record = {
        "command": sys.argv[:2],
        "cpu": time.process_time(),
        "startup": _boot + _spent,
        "torch": "torch" in sys.modules,
        "torchvision": "torchvision" in sys.modules,
    }
    with open(f"{folder}/{os.getpid()}.json", "w") as file:
        json.dump(record, file)


builtins.__import__ = _timed(builtins.__import__)
importlib.import_module = _timed(importlib.import_module)
# What the interpreter itself took up to here.
_boot = time.process_time()
