"""Execution: who runs the independent cells of a sweep or an experiment; the results never depend on it.

================  ==================================================================================
executor_named    an executor by name: serial, process, thread, dask, or any ``module:attribute``
completed         results with the index of their item, each as soon as it is known
in_order          the same results in the order of the items
EXECUTORS         the names that are built in
================  ==================================================================================

Anything with the ``submit`` of ``concurrent.futures.Executor`` will do. ``dask`` needs the optional extra of that name
and, behind a colon, the address of a scheduler.
"""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from clawvm_replay.errors import InputError

__all__ = ["EXECUTORS", "completed", "executor_named", "in_order"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

EXECUTORS = ("serial", "process", "thread", "dask")


@contextmanager
def executor_named(name: str, jobs: int) -> Iterator[Executor | None]:
    """Yield the executor with this name and *jobs* workers, and shut it down; None means this very process.

    ``dask:ADDRESS`` uses the workers of a running Dask scheduler, whatever *jobs* is. ``module:attribute`` names a
    callable that takes the number of jobs and returns an executor. Raises InputError with one line.
    """
    kind, _, detail = name.partition(":")
    if kind == "serial" or (kind == "process" and jobs <= 1):
        yield None
        return
    with ExitStack() as stack:
        if kind == "process":
            executor: Executor = ProcessPoolExecutor(jobs, initializer=_leave_interrupts_to_the_parent)
        elif kind == "thread":
            executor = ThreadPoolExecutor(jobs)
        elif kind == "dask":
            executor = _dask_executor(detail, stack)
        else:
            executor = _plugged_in(name, kind, detail, jobs)
        try:
            yield executor
        except BaseException:
            # What had not begun was cancelled already; a remote worker must not hold up the end of this process.
            executor.shutdown(wait=kind != "dask")
            raise
        executor.shutdown()


def _leave_interrupts_to_the_parent() -> None:
    # A terminal sends Ctrl-C to the workers too; their tracebacks would bury the one line that the parent prints.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _dask_executor(address: str, stack: ExitStack) -> Executor:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise InputError("the executor 'dask' needs the optional extra: pip install 'clawvm[dask]'") from None
    if not address:
        raise InputError("the executor 'dask' needs the address of a scheduler: dask:tcp://HOST:PORT")
    try:
        client = stack.enter_context(distributed.Client(address, timeout=10))
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {address}: {error}") from None
    executor: Executor = client.get_executor(pure=False)
    return executor


def _plugged_in(name: str, module: str, attribute: str, jobs: int) -> Executor:
    if not module or not attribute:
        raise InputError(f"unknown executor {name!r}; known: {', '.join(EXECUTORS)}, and module:attribute")
    try:
        factory: Any = importlib.import_module(module)
        for part in attribute.split("."):
            factory = getattr(factory, part)
        executor = factory(jobs)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"the executor {name!r} cannot be made: {error}") from None
    if not callable(getattr(executor, "submit", None)) or not callable(getattr(executor, "shutdown", None)):
        raise InputError(f"{name!r} gives {type(executor).__name__}, which has no submit and shutdown of an executor")
    result: Executor = executor
    return result


def completed(
    function: Callable[[_Item], _Result], items: Sequence[_Item], executor: Executor | None = None
) -> Iterator[tuple[int, _Result]]:
    """Yield (index, result) for every item, each as soon as it is known; without an executor in this process.

    *function* stands at the top level of a module, so that another process can import it. The first error that
    *function* raises ends the iteration and cancels what has not begun. Raises InputError when a worker process dies.
    """
    if executor is None:
        yield from ((index, function(item)) for index, item in enumerate(items))
        return
    index_of: dict[Future[_Result], int] = {}
    try:
        for index, item in enumerate(items):
            index_of[executor.submit(function, item)] = index
        for future in as_completed(index_of):
            yield index_of.pop(future), future.result()
    except BrokenExecutor:
        raise InputError("a worker ended in the middle of a cell (killed, or out of memory)") from None
    except BaseException:
        for future in index_of:
            future.cancel()
        raise


def in_order(results: Iterable[tuple[int, _Result]]) -> Iterator[_Result]:
    """Yield indexed results in the order of their indexes; holds back only those that came too early."""
    waiting: dict[int, _Result] = {}
    following = 0
    for index, result in results:
        waiting[index] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1
