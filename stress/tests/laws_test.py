"""Asks that each law of `tlsrig list laws` has a canary and a dual: laws_test.py TLSRIG BUILD_DIRECTORY PRESET

BUILD_DIRECTORY is where ctest finds its tests; PRESET is the one of this build, since some canaries need a sanitizer.
"""
import json
import subprocess
import sys
import unittest

TLSRIG, BUILD, PRESET = sys.argv[1:4]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def laws():
    return [json.loads(line) for line in output(TLSRIG, "list", "laws", "--json").splitlines()]


def commands():
    """The command of each test of ctest that is built, by its name."""
    shown = json.loads(output("ctest", "--test-dir", BUILD, "--show-only=json-v1"))
    return {test["name"]: test["command"] for test in shown["tests"] if "command" in test}


def cases(command):
    """The cases that this entry of ctest runs, as GoogleTest names them."""
    names, suite = set(), ""
    for line in output(*command, "--gtest_list_tests").splitlines():
        name = line.split("#")[0].rstrip()
        if name and not name.startswith(" "):
            suite = name
        elif name:
            names.add(suite + name.strip())
    return names


def lacking(entries, known, cases_of):
    """A sentence for each proof that is not there."""
    found = []
    for entry in entries:
        for kind in ("canary", "dual"):
            if kind == "canary" and entry["preset"] not in ("", PRESET):
                continue
            test, _, case = entry[kind].partition(" ")
            if test not in known:
                found.append(f"{entry['name']} has no {kind}: there is no test '{test}'")
            elif case and case not in cases_of(known[test]):
                found.append(f"{entry['name']} has no {kind}: '{test}' has no case '{case}'")
    return found


class Laws(unittest.TestCase):
    def test_each_has_a_canary_and_a_dual(self):
        entries = laws()
        self.assertGreater(len(entries), 15)
        self.assertEqual(lacking(entries, commands(), cases), [])

    def test_a_proof_that_does_not_exist_is_reported(self):
        good = {"name": "C1", "canary": "meta.a A.one", "dual": "meta.b", "preset": ""}
        known = {"meta.a": ["a"], "meta.b": ["b"]}
        asked = lambda **change: lacking([dict(good, **change)], known, lambda command: {"A.one"})
        self.assertEqual(asked(), [])
        self.assertEqual(asked(canary=""), ["C1 has no canary: there is no test ''"])
        self.assertEqual(asked(dual="meta.c"), ["C1 has no dual: there is no test 'meta.c'"])
        self.assertEqual(asked(canary="meta.a A.two"), ["C1 has no canary: 'meta.a' has no case 'A.two'"])
        self.assertEqual(asked(canary="meta.c", preset="another"), [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
