#!/usr/bin/env python3
"""What `completion` leaves behind is a scenario: the command replays it and shrinks it as it does its own.

  crash_test.py TLSRIG FUZZ_COMPLETION_NULL PLANTED_SUBJECT.so [unittest arguments...]

The files of corpus/planted are what fuzz_completion_null has left behind from an empty corpus, each for the planted bug
that it is named after (TLSRIG_PLANT). The subject has the same bug in it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TLSRIG, FUZZER, PLANTED = (os.path.abspath(path) for path in sys.argv[1:4])
CRASHES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../corpus/planted")
# Of each planted bug, the law that must report it.
LAWS = {"c1_lost:4": "C1", "c1_twice:3": "C1"}
LIMIT = 120


class Crash(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tlsrig-crash-")
        self.addCleanup(folder.cleanup)
        self.at = folder.name

    def each(self):
        for plant, law in LAWS.items():
            with self.subTest(plant):
                name = plant.replace(":", "-")
                crash = os.path.join(self.at, "crash-" + name)  # libFuzzer gives it no ending
                shutil.copyfile(os.path.join(CRASHES, name + ".scn"), crash)
                yield plant, law, crash

    def ended(self, plant, *command):
        environment = {**os.environ, **({"TLSRIG_PLANT": plant} if plant else {})}
        return subprocess.run(command, cwd=self.at, env=environment, capture_output=True, text=True, timeout=LIMIT,
                              check=False)

    def replay(self, plant, file, *more):
        ended = self.ended(plant, TLSRIG, "replay", "--json", file, *more)
        self.assertEqual(ended.stderr, "", ended)
        return ended.returncode, json.loads(ended.stdout)

    def expect_law(self, law, ended):
        code, verdict = ended
        self.assertEqual(code, 1, verdict)
        self.assertEqual({one["law"] for one in verdict["violations"]}, {law}, verdict)

    def test_the_fuzzer_finds_it_again(self):
        for plant, law, crash in self.each():
            ended = self.ended(plant, FUZZER, crash)
            self.assertNotEqual(ended.returncode, 0)
            self.assertRegex(ended.stderr, rf"(?m)^FOUND: .*\b{law}, ")
            self.assertEqual(self.ended(None, FUZZER, crash).returncode, 0)

    def test_a_crash_is_replayed_as_it_is(self):
        for plant, law, crash in self.each():
            self.expect_law(law, self.replay(plant, crash, "--subject", PLANTED))
            code, verdict = self.replay(None, crash)
            self.assertEqual((code, verdict["verdict"]), (0, "pass"))

    def test_a_shrunk_crash_fails_alike_and_is_no_longer(self):
        for plant, law, crash in self.each():
            small = os.path.join(self.at, plant + ".scn")
            ended = self.ended(plant, TLSRIG, "shrink", "--subject", PLANTED, "--output", small, crash)
            self.assertEqual(ended.returncode, 0, ended)
            self.expect_law(law, self.replay(plant, small))
            with open(crash, encoding="utf-8") as before, open(small, encoding="utf-8") as after:
                self.assertLess(self.steps_of(after.read()), self.steps_of(before.read()))

    def test_what_does_not_fail_is_not_shrunk(self):
        for _, _, crash in self.each():
            ended = self.ended(None, TLSRIG, "shrink", crash)
            self.assertEqual(ended.returncode, 2, ended)
            self.assertIn("it does not fail: the verdict is pass", ended.stderr)

    @staticmethod
    def steps_of(text):
        return sum(line.startswith(("  ", "when ", "set ", "fault ")) for line in text.splitlines())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
