"""Behaviour of the executors: the same results, whoever does the work, and one line for a wrong name."""

import importlib.util
import operator
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest
from concurrent.futures import Executor, Future
from multiprocessing.connection import Connection
from pathlib import Path

from clawvm_replay.errors import InputError
from clawvm_replay.execution import completed, executor_named, in_order
from tests.support import ROOT

SEED = 20261


def slow(seconds):
    time.sleep(seconds)
    return seconds


class Plugged(Executor):
    """An executor that somebody else wrote: it does the work when it is asked, in this process."""

    def __init__(self, jobs):
        self.jobs = jobs
        self.is_shut_down = False

    def submit(self, function, /, *arguments, **keywords):
        future = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.is_shut_down = True


class Waiting(Plugged):
    """An executor that does only the first thing that it is asked to do."""

    def __init__(self, jobs):
        super().__init__(jobs)
        self.futures = []

    def submit(self, function, /, *arguments, **keywords):
        self.futures.append(Future() if self.futures else super().submit(function, *arguments, **keywords))
        return self.futures[-1]


class Refusing(Plugged):
    """An executor that takes no work."""

    def submit(self, function, /, *arguments, **keywords):
        raise RuntimeError("closed")


class Cancelling(Plugged):
    """An executor whose scheduler went away."""

    def submit(self, function, /, *arguments, **keywords):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def failing(jobs):
    """Fail as a factory does that finds no network."""
    raise OSError("no network")


def torn(item):
    """Return a large result from a process that dies in the middle of writing it."""
    if item == 1:

        def send_half(connection, buffer):
            os.write(connection._handle, bytes(buffer[: len(buffer) // 2]))
            if len(buffer) > 50_000:
                os._exit(1)
            os.write(connection._handle, bytes(buffer[len(buffer) // 2 :]))

        Connection._send = send_half
        return bytes(100_000)
    time.sleep(0.2)
    return b""


def is_running(process):
    """Return whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


class NoExecutor:
    """Something that takes a number and is no executor."""

    def __init__(self, jobs):
        pass


class ExecutionTest(unittest.TestCase):
    def test_every_executor_gives_the_same_results_in_order(self):
        items = list(range(50))
        for name in ("serial", "process", "thread", "concurrent.futures:ThreadPoolExecutor", f"{__name__}:Plugged"):
            with self.subTest(executor=name), executor_named(name, 2) as executor:
                self.assertEqual(list(in_order(completed(operator.neg, items, executor))), [-item for item in items])

    def test_results_come_as_soon_as_they_are_known_with_the_index_of_their_item(self):
        self.assertEqual(list(completed(operator.neg, [3, 5])), [(0, -3), (1, -5)])
        with executor_named("thread", 2) as executor:
            self.assertEqual(sorted(completed(operator.neg, [3, 5], executor)), [(0, -3), (1, -5)])

    def test_order_is_restored_whatever_came_first(self):
        rng = random.Random(SEED)
        for _ in range(50):
            indexes = list(range(rng.randrange(20)))
            shuffled = sorted(indexes, key=lambda _: rng.random())
            self.assertEqual(list(in_order((index, index * 2) for index in shuffled)), [i * 2 for i in indexes], SEED)

    def test_an_error_in_a_cell_ends_the_work(self):
        for name in ("serial", "process", "thread"):
            with self.subTest(name), self.assertRaises(TypeError), executor_named(name, 2) as executor:
                list(completed(operator.neg, [1, "x", 2], executor))

    def test_an_error_cancels_what_has_not_begun(self):
        executor = Waiting(2)
        with self.assertRaises(TypeError):
            list(completed(operator.neg, ["x", 1, 2], executor))
        self.assertEqual([future.cancelled() for future in executor.futures], [False, True, True])

    def test_a_worker_that_dies_is_one_line(self):
        with self.assertRaisesRegex(InputError, "a worker ended"), executor_named("process", 2) as executor:
            list(completed(os._exit, [1, 1, 1], executor))

    def test_a_worker_that_dies_while_it_writes_a_large_result_is_one_line(self):
        with self.assertRaisesRegex(InputError, "a worker ended"), executor_named("process", 2) as executor:
            list(completed(torn, [1, 2], executor))

    @unittest.skipUnless(Path("/proc/self/stat").exists(), "needs /proc")
    def test_workers_end_when_their_parent_is_killed(self):
        # The second parent is gone before its workers can have asked who it is.
        for last_words in ("executor.submit(time.sleep, 0).result()", "executor.submit(time.sleep, 0)"):
            script = (
                "import os, signal, sys, time; sys.path[:0] = sys.argv[1:]\n"
                "from clawvm_replay.execution import executor_named\n"
                "if __name__ == '__main__':\n"
                "    with executor_named('process', 4) as executor:\n"
                f"        {last_words}\n"
                "        print(*executor._processes, flush=True)\n"
                "        os.kill(os.getpid(), signal.SIGKILL)\n"
            )
            command = [sys.executable, "-c", script, str(ROOT), str(ROOT / "replay_py")]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
                workers = [int(word) for word in parent.stdout.readline().split()]
            self.assertTrue(workers)
            deadline = time.monotonic() + 30
            while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual([worker for worker in workers if is_running(worker)], [], last_words)

    def test_an_executor_that_fails_is_one_line(self):
        for name, words in ((f"{__name__}:Refusing", "took no cell"), (f"{__name__}:Cancelling", "cancelled a cell")):
            with self.subTest(name), self.assertRaisesRegex(InputError, words), executor_named(name, 2) as executor:
                list(completed(operator.neg, [1], executor))
        with self.assertRaisesRegex(InputError, "cannot be made: OSError"), executor_named(f"{__name__}:failing", 2):
            pass

    def test_an_executor_that_was_plugged_in_gets_the_jobs_and_is_shut_down(self):
        with executor_named(f"{__name__}:Plugged", 3) as executor:
            self.assertEqual(executor.jobs, 3)
        self.assertTrue(executor.is_shut_down)

    def test_a_wrong_name_is_one_line_that_says_what_is_known(self):
        wrong = {
            "warp": "unknown executor 'warp'; known: serial, process, thread, dask, and module:attribute",
            "no_such_module:Pool": "cannot be made",
            "concurrent.futures:NoSuchPool": "cannot be made",
            f"{__name__}:NoExecutor": "has no submit",
        }
        for name, words in wrong.items():
            with self.subTest(name), self.assertRaises(InputError) as caught, executor_named(name, 2):
                pass
            self.assertIn(words, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))

    def test_dask_without_its_package_or_an_address_says_what_to_do(self):
        installed = importlib.util.find_spec("distributed") is not None
        with self.assertRaises(InputError) as caught, executor_named("dask", 2):
            pass
        self.assertIn("dask:tcp://HOST:PORT" if installed else "clawvm[dask]", str(caught.exception))


class InterruptTest(unittest.TestCase):
    """A signal reaches the loop between two waits, whatever lock it came in, and no worker is waited for."""

    def test_a_signal_ends_running_workers_within_seconds(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            earlier = signal.signal(number, signal.default_int_handler)
            self.addCleanup(signal.signal, number, earlier)
            timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
            begin = time.monotonic()
            with (
                self.subTest(signal=number),
                self.assertRaises(KeyboardInterrupt),
                executor_named("process", 2) as executor,
            ):
                timer.start()
                list(completed(slow, [60, 60, 60], executor))
            self.assertLess(time.monotonic() - begin, 20)
            self.assertIs(signal.getsignal(number), signal.default_int_handler)

    def test_a_signal_between_two_results_is_not_lost(self):
        earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, earlier)
        results = completed(slow, [0, 0], Plugged(1))
        next(results)
        os.kill(os.getpid(), signal.SIGINT)  # Not raised here, where the result is in the caller's hands.
        with self.assertRaises(KeyboardInterrupt):
            next(results)
            next(results)
