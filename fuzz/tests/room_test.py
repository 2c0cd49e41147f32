#!/usr/bin/env python3
"""The room of the fuzzers from outside: a target that fails is noticed, and so is a run that tests nothing.

  room_test.py FUZZ_CANARY DRIVER [unittest arguments...]      DRIVER: replayer or libfuzzer
"""

import os
import subprocess
import sys
import tempfile
import unittest

CANARY, DRIVER = os.path.abspath(sys.argv[1]), sys.argv[2]
FOUND = "FOUND: the canary's input"


class Room(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tlsrig-fuzz-")
        self.addCleanup(folder.cleanup)
        self.at = folder.name

    def run_canary(self, *arguments):
        return subprocess.run([CANARY, *arguments], cwd=self.at, capture_output=True, text=True, check=False)

    def write(self, name, text):
        path = os.path.join(self.at, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


@unittest.skipUnless(DRIVER == "replayer", "libFuzzer drives this build")
class Replayer(Room):
    def test_an_input_that_fails_ends_the_run(self):
        self.write("corpus/a", "harmless")
        self.write("corpus/b", "bug")
        ended = self.run_canary("corpus")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn(FOUND, ended.stderr)
        self.assertEqual(ended.stdout.splitlines()[-1], "corpus/b")

    def test_harmless_inputs_pass_and_are_counted(self):
        self.write("corpus/a", "harmless")
        self.write("corpus/b", "")
        ended = self.run_canary("corpus", self.write("c", "bu"))
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertEqual(ended.stdout.splitlines()[-1], "replayed 3 files")

    def test_a_run_without_an_input_is_no_success(self):
        os.mkdir(os.path.join(self.at, "empty"))
        for arguments in ((), ("empty",), ("nowhere",)):
            with self.subTest(arguments):
                ended = self.run_canary(*arguments)
                self.assertEqual(ended.returncode, 2)
                self.assertNotEqual(ended.stderr, "")


@unittest.skipUnless(DRIVER == "libfuzzer", "the replayer drives this build")
class LibFuzzer(Room):
    def test_coverage_leads_from_nothing_to_the_failure_which_is_kept(self):
        for seed in range(1, 4):
            with self.subTest(seed):
                kept = os.path.join(self.at, f"kept-{seed}-")
                ended = self.run_canary(f"-seed={seed}", "-runs=2000000", "-max_len=16", f"-artifact_prefix={kept}")
                self.assertNotEqual(ended.returncode, 0)
                self.assertIn(FOUND, ended.stderr)
                crashes = [name for name in os.listdir(self.at) if name.startswith(f"kept-{seed}-crash-")]
                self.assertEqual(len(crashes), 1)
                with open(os.path.join(self.at, crashes[0]), "rb") as file:
                    self.assertEqual(file.read(3), b"bug")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
