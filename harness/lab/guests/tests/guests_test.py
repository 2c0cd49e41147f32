#!/usr/bin/env python3
"""Programs from elsewhere on the real kernel and in the lab: the same seed is the same run, in every process.

  guests_test.py LAB_HOST CERTIFICATES BAD_GUEST.so NO_MAIN.so (PROGRAM GUEST.so)... [unittest arguments...]
"""

import concurrent.futures
import ctypes
import os
import re
import subprocess
import sys
import unittest

PROCESSES, LIMIT, FIXED = 20, 120, 0x0040000
SEEDS = ["2", "3", "4", "5", "6"]
LIBC = ctypes.CDLL(None, use_errno=True)
LINE = re.compile(r"exit=(?P<exit>\d+) policy=(?P<policy>\w+) points=(?P<points>\d+) events=(?P<events>\d+) "
                  r"switches=(?P<switches>\d+) sockets=(?P<sockets>\d+) order=(?P<order>[0-9a-f]{16}) "
                  r"schedule=(?P<schedule>[0-9a-f]{16}) bytes=(?P<bytes>[0-9a-f]{16}) "
                  r"addresses=(?P<addresses>fixed|random)")

HOST, CERTIFICATES, BAD, NO_MAIN = [os.path.abspath(path) for path in sys.argv[1:5]]
PATHS = [os.path.abspath(path) for path in sys.argv[5:] if "/" in path]
GUESTS = list(zip(PATHS[::2], PATHS[1::2]))
FILES = [os.path.join(CERTIFICATES, name) for name in ("server.pem", "server.key.pem", "ca.pem")]
WRONG = [os.path.join(CERTIFICATES, name) for name in ("wrong_host.pem", "wrong_host.key.pem", "ca.pem")]


def execute(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, **more)


def host(*arguments, **more):
    return execute(HOST, *arguments, **more)


def randomise_addresses():
    """Undoes what a debugger or `setarch -R` has passed on, in the child."""
    now = LIBC.personality(ctypes.c_ulong(0xffffffff))
    if now != -1 and now & FIXED and LIBC.personality(ctypes.c_ulong(now & ~FIXED)) == -1:
        raise OSError(ctypes.get_errno(), "personality")


class Guests(unittest.TestCase):
    def run_of(self, guest, *options, files=FILES, **more):
        """One run that must have been good; what its last line says."""
        result = host(*options, guest, *files, **more)
        self.assertEqual(result.returncode, 0, result)
        line = LINE.fullmatch(result.stdout.splitlines()[-1])
        self.assertIsNotNone(line, result)
        return line.groupdict()

    def same(self, runs):
        """All runs of one seed are equal; in their bytes as well, where the system fixes addresses."""
        if any(run["addresses"] == "random" for run in runs):
            print("addresses are random here: schedules are compared, bytes are not", file=sys.stderr)
            runs = [{key: value for key, value in run.items() if key != "bytes"} for run in runs]
        for run in runs[1:]:
            self.assertEqual(run, runs[0])

    def many(self, guest, *options, count):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return [task.result() for task in [pool.submit(self.run_of, guest, *options) for _ in range(count)]]

    def test_on_the_real_kernel(self):
        for program, _ in GUESTS:
            result = execute(program, *FILES)
            self.assertEqual(result.returncode, 0, result)
            self.assertIn("100 of 100 messages came back, orderly end", result.stdout)

    def test_a_wrong_name_is_refused_in_both_worlds(self):
        for program, guest in GUESTS:
            result = execute(program, *WRONG)
            self.assertEqual(result.returncode, 1, result)
            self.assertIn("0 of 100 messages came back, no orderly end", result.stdout)
            result = host(guest, *WRONG)
            self.assertEqual(result.returncode, 1, result)
            self.assertIn("0 of 100 messages came back, no orderly end\nexit=1 ", result.stdout)
            self.assertIn("lab_host: the guest failed", result.stderr)

    def test_one_seed_is_one_run_in_twenty_processes(self):
        for _, guest in GUESTS:
            runs = self.many(guest, "--seed", "1", "--policy", "uniform", count=PROCESSES)
            self.same(runs)
            self.assertGreater(int(runs[0]["switches"]), 100)
            print(f"{os.path.basename(guest)}: {PROCESSES} of {PROCESSES} equal: {runs[0]}", file=sys.stderr)

    def test_other_seeds_are_other_schedules(self):
        for _, guest in GUESTS:
            runs = [self.run_of(guest, "--seed", seed) for seed in SEEDS]
            self.assertGreater(len({run["order"] for run in runs}), 1, runs)
            self.assertGreater(len({run["policy"] for run in runs}), 1, runs)

    def test_one_thread_has_one_order_whatever_the_seed(self):
        runs = [self.run_of(BAD, "--seed", seed, files=["alone"]) for seed in SEEDS]
        self.assertEqual(len({run["order"] for run in runs}), 1, runs)

    def test_descriptors_begin_where_they_are_told_to(self):
        for first in ("0", "70000"):
            result = host("--first-descriptor", first, BAD, "alone")
            self.assertEqual(result.returncode, 0, result)
            self.assertIn(f"descriptors {first} and {int(first) + 1}\n", result.stdout)
            for _, guest in GUESTS:
                self.same(self.many(guest, "--first-descriptor", first, count=2))

    def test_without_fixed_addresses_the_schedule_is_the_same(self):
        again = dict(os.environ, TLSRIG_ADDRESSES="refused")
        for _, guest in GUESTS:
            runs = [self.run_of(guest, env=again, preexec_fn=randomise_addresses) for _ in range(3)]
            self.assertEqual({run["addresses"] for run in runs}, {"random"})
            self.same(runs)
        result = host(BAD, "alone", env=again, preexec_fn=randomise_addresses)
        self.assertIn("address randomisation stays on; bytes may differ from process to process", result.stderr)


class Host(unittest.TestCase):
    def refused(self, code, sentence, *arguments):
        result = host(*arguments)
        self.assertEqual(result.returncode, code, result)
        self.assertIn("lab_host: " + sentence, result.stderr)
        return result

    def test_it_brings_no_tls_library(self):
        loaded = execute(HOST, env=dict(os.environ, LD_TRACE_LOADED_OBJECTS="1")).stdout
        self.assertIn("libc.so", loaded)
        self.assertNotRegex(loaded, "libssl|libcrypto|libgnutls|libmbed")

    def test_help(self):
        result = host("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for word in ("--seed N", "--policy P", "--first-descriptor N", "--repeat", "Exit codes:"):
            self.assertIn(word, result.stdout)

    def test_wrong_usage(self):
        self.refused(2, "say which guest to run; see --help")
        self.refused(2, "there is no option '--sede'; see --help", "--sede", "1", BAD)
        self.refused(2, "--seed needs a value", "--seed")
        self.refused(2, "--seed must be a number from 0 to 18446744073709551615, not '-1'", "--seed", "-1", BAD)
        self.refused(2, "--first-descriptor must be a number", "--first-descriptor", "3x", BAD)
        self.refused(2, "there is no policy 'fair'; see --help", "--policy", "fair", BAD)
        self.refused(2, "'guest.so' must hold a slash", "guest.so")
        self.refused(2, "the guest cannot be loaded: ", "./there_is_none.so")
        self.refused(2, "the guest exports no main: ", NO_MAIN)

    def test_a_guest_that_uses_no_socket_is_vacuous(self):
        self.refused(1, "vacuous: the guest used no socket of the lab", BAD, "idle")

    def test_a_guest_that_fails(self):
        result = self.refused(1, "the guest failed", BAD, "fails")
        self.assertIn("exit=7 ", result.stdout)

    def test_a_guest_that_ends_the_process(self):
        result = self.refused(1, "the guest ended the process within the run", BAD, "exits")
        self.assertNotIn("exit=", result.stdout)

    def test_a_guest_that_waits_for_ever(self):
        result = self.refused(1, "the run is stuck\ndeadlock: ", BAD, "waits")
        self.assertIn("thread 0: waits in recv for local socket", result.stderr)

    def test_repeat(self):
        result = host("--repeat", BAD, "alone")
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(len(result.stdout.splitlines()), 1)
        result = self.refused(1, "DIVERGED: two runs of the same seed differ", "--repeat", BAD, "differs")
        self.assertEqual(len([line for line in result.stdout.splitlines() if LINE.fullmatch(line)]), 2)
        self.refused(1, "the guest failed", "--repeat", BAD, "fails")


if __name__ == "__main__":
    if len(PATHS) < 2:
        sys.exit(__doc__)
    unittest.main(argv=[sys.argv[0]] + [word for word in sys.argv[5:] if "/" not in word])
