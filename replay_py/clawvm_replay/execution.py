"""Execution: who runs the independent cells of a sweep or an experiment; the results never depend on it.

Anything with the ``submit`` and ``shutdown`` of ``concurrent.futures.Executor`` will do.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import parent_process
from typing import Any, TypeVar

from clawvm_replay.errors import InputError

__all__ = ["EXECUTORS", "completed", "executor_named", "in_order"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

EXECUTORS = ("serial", "process", "thread", "dask")

PATIENCE = 0.5
"""Seconds between two checks for a signal and that a worker is alive."""


@contextmanager
def executor_named(name: str, jobs: int) -> Iterator[Executor | None]:
    """Yield the executor with this name and *jobs* workers, and shut it down; None means this process.

    ``dask:ADDRESS`` uses the workers of a running Dask scheduler, whatever *jobs* is. ``module:attribute`` names a
    callable that takes the number of jobs and returns an executor. Raises InputError with one line.
    """
    kind, _, detail = name.partition(":")
    if kind == "serial" or (kind == "process" and jobs <= 1):
        yield None
        return
    with ExitStack() as stack:
        if kind == "process":
            executor: Executor = ProcessPoolExecutor(jobs, initializer=_begin_worker)
        elif kind == "thread":
            executor = ThreadPoolExecutor(jobs)
        elif kind == "dask":
            executor = _dask_executor(detail, stack)
        else:
            executor = _plugged_in(name, kind, detail, jobs)
        try:
            yield executor
        except BaseException:
            _abandon(executor, wait_for_running=kind != "dask")
            raise
        executor.shutdown()


def _abandon(executor: Executor, *, wait_for_running: bool) -> None:
    """End an executor whose results nobody wants; a remote worker must not hold up the end of this process."""
    if isinstance(executor, ProcessPoolExecutor):
        # Killed first: the pool's own thread then fails what is left, and ends; this process waits for that thread.
        for process in list((getattr(executor, "_processes", None) or {}).values()):
            process.kill()
    with suppress(OSError):  # The thread may close the pool's pipe at this moment.
        executor.shutdown(wait=wait_for_running)


@contextmanager
def _signals_deferred() -> Iterator[Callable[[], None]]:
    """Let signals that would interrupt this thread wait until the yielded function is called, which raises.

    An exception at any instruction would leave the locks of futures held, or vanish in a callback of ``fork``.
    """
    arrived: list[int] = []
    earlier = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and callable(signal.getsignal(number)):
                earlier[number] = signal.signal(number, lambda number, frame: arrived.append(number))

    def check() -> None:
        if arrived:
            raise KeyboardInterrupt

    try:
        yield check
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    check()


def _begin_worker() -> None:
    # A terminal sends Ctrl-C to the workers too; their tracebacks would bury the one line that the parent prints.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """End this worker when its parent is gone: a parent that was killed shuts no executor down."""
    parent = parent_process()
    if parent is not None:
        # The parent's id would not do: one that is gone before a worker asks for it has another.
        parent.join()
        os._exit(1)


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
    except Exception as error:  # It is somebody else's code: whatever it raises, the user gets one line.
        raise InputError(f"the executor {name!r} cannot be made: {type(error).__name__}: {error}") from None
    if not callable(getattr(executor, "submit", None)) or not callable(getattr(executor, "shutdown", None)):
        raise InputError(f"{name!r} gives {type(executor).__name__}, which has no submit and shutdown")
    result: Executor = executor
    return result


def completed(
    function: Callable[[_Item], _Result], items: Sequence[_Item], executor: Executor | None = None
) -> Iterator[tuple[int, _Result]]:
    """Yield (index, result) for every item, each as soon as it is known; without an executor in this process.

    *function* is at the top level of a module, so that another process can import it. The first error that
    *function* raises ends the iteration and cancels what has not begun. Raises InputError when the executor fails: a
    worker process dies, a cell is cancelled or not taken.
    """
    if executor is None:
        yield from ((index, function(item)) for index, item in enumerate(items))
        return
    with _signals_deferred() as raise_if_interrupted:
        index_of: dict[Future[_Result], int] = {}
        try:
            for index, item in enumerate(items):
                index_of[_submitted(executor, function, item)] = index
            while index_of:
                done, _ = wait(index_of, timeout=PATIENCE, return_when=FIRST_COMPLETED)
                raise_if_interrupted()
                for future in done:
                    yield index_of.pop(future), future.result()
                if not done:
                    _end_if_a_worker_died(executor)
        except BrokenExecutor:
            raise_if_interrupted()
            raise InputError("a worker ended in the middle of a cell (killed, or out of memory)") from None
        except CancelledError:
            raise InputError("the executor cancelled a cell (its scheduler or workers are gone)") from None
        except BaseException:
            if not isinstance(executor, ProcessPoolExecutor):  # Its own shutdown cancels what it has not begun.
                for future in index_of:
                    future.cancel()
            raise


def _submitted(executor: Executor, function: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
    try:
        return executor.submit(function, item)
    except BrokenExecutor:
        raise
    except Exception as error:  # It may be somebody else's executor.
        raise InputError(f"the executor took no cell: {type(error).__name__}: {error}") from None


def _end_if_a_worker_died(executor: Executor) -> None:
    """End a pool of processes one of which died while it wrote a large result.

    The pool itself would wait for the rest of that result for ever, because the other workers, and this process, keep
    the pipe open. Without them it notices, and its futures say that it is broken.
    """
    processes = list((getattr(executor, "_processes", None) or {}).values())
    if not isinstance(executor, ProcessPoolExecutor) or all(process.exitcode is None for process in processes):
        return
    for process in processes:
        process.kill()
    writer = getattr(getattr(executor, "_result_queue", None), "_writer", None)
    if writer is not None and not writer.closed:
        writer.close()


def in_order(results: Iterable[tuple[int, _Result]]) -> Iterator[_Result]:
    """Yield indexed results in the order of their indexes; holds back only those that came too early."""
    waiting: dict[int, _Result] = {}
    following = 0
    for index, result in results:
        waiting[index] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1
