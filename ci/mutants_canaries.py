"""Faults planted in patches and in the tree, each of which `ci/mutants --check` must report; and a zoo in order."""

import os
import sys
import tempfile

import mutants_report
import mutants_run
import mutants_zoo

FILE = "harness/socket/thing.cc"
TREE = {
    "harness/oracle/law.cc": 'LawEntry{Law::c1_exactly_once, "C1",\nLawEntry{Law::s1_stream, "S1",\n',
    FILE: "int first() {\n  return 1;\n}\n\nint second() {\n  return 2;\n}\n",
}
PATCH = f"""Mutant: M24
Plants: one too many
Bug: somebody/something#1
Subject: house
Backends: all
Law: S1
Trigger: a call
Build: dev

diff --git a/{FILE} b/{FILE}
--- a/{FILE}
+++ b/{FILE}
@@ -4,5 +4,5 @@

 int second() {{
-  return 2;
+  return 3;
 }}
"""
PATCH = PATCH.replace("\n\n int second", "\n \n int second").replace("@@ -4,5 +4,5 @@", "@@ -4,4 +4,4 @@")
NAME = "M24-one-too-many"

# What is planted (name of the patch, what is replaced in the patch, what is replaced in the tree), and the sentence.
CANARIES = [
    (NAME, ("", ""), ("return 2;", "return 4;"), f"{FILE}:4: the line 'return 2;' is not there any more."),
    (NAME, ("", ""), ("\nint second", "\n// It counts.\nint second"),
     f"{FILE}:4: the lines are there, but not behind each other"),
    (NAME, ("thing.cc", "other.cc"), ("", ""), "harness/socket/other.cc is gone."),
    (NAME, ("Law: S1", "Law: Z9"), ("", ""), "there is no law Z9."),
    (NAME, ("Law: S1\n", ""), ("", ""), "the line 'Law: ...' is missing."),
    (NAME, ("Bug: somebody/something#1\n", "Bug: \n"), ("", ""), "the line 'Bug: ...' is missing."),
    (NAME, ("Build: dev", "Build: fast"), ("", ""), "the build is 'fast'"),
    (NAME, ("Subject: house", "Subject: mine"), ("", ""), "the subject is 'mine'"),
    (NAME, ("Backends: all", "Backends: wolfssl"), ("", ""), "there is no backend wolfssl."),
    (NAME, ("Mutant: M24", "Mutant: M25"), ("", ""), "the header says mutant M25, the name M24."),
    ("one-too-many", ("", ""), ("", ""), "the name is not of the form"),
    (NAME + ".gnutls", ("", ""), ("", ""), "a name that ends in a library concerns that library alone."),
    (NAME, ("harness/socket/thing.cc", "stress/thing.cc"), ("", ""), "stress/thing.cc is no code under test"),
]

# A verdict, and who is to be said to have reported it.
VERDICTS = [
    ({"verdict": "fail", "violations": [{"law": "S1"}, {"law": "C5"}, {"law": "S1"}]}, ["S1", "C5"]),
    ({"verdict": "fail", "reason": "the process died: AddressSanitizer: heap-use-after-free"}, ["M1"]),
    ({"verdict": "fail", "reason": "the process died: ThreadSanitizer: data race"}, ["T1"]),
    ({"verdict": "fail", "reason": "the process was ended by signal 11 (Segmentation fault)"}, ["crash"]),
    ({"verdict": "hang", "reason": "nothing happens any more"}, ["L1"]),
    ({"verdict": "hang", "violations": [{"law": "C1"}]}, ["C1"]),
    ({"verdict": "vacuous", "reason": "it was not reached"}, ["vacuous"]),
    ({"verdict": "fail", "reason": "client 0: closed, reset"}, ["expectation"]),
]


def faults(name, patch, tree):
    with tempfile.TemporaryDirectory(prefix="tlsrig-zoo-") as root:
        for path, text in {**tree, f"{mutants_zoo.FOLDER}/{name}.patch": patch}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return [sentence for _, sentence in mutants_zoo.check(root)[0]]


def report_faults(in_report, in_readme):
    """What is said of a report with one record, of the patch M24-a, in a zoo that has only that patch."""
    record = {"patch": "M24-a", "mutant": "M24", "outcome": "killed", "named": {},
              "first": {"by": ["S1"], "cpu_seconds": 1.5}}
    readme = "# Mine\n\n" + mutants_report.score([record]).replace(" ", "\n", 3)
    with tempfile.TemporaryDirectory(prefix="tlsrig-zoo-") as root:
        os.makedirs(os.path.join(root, os.path.dirname(mutants_report.REPORT)))
        mutants_report.add(os.path.join(root, mutants_report.REPORT), {**record, **in_report})
        with open(os.path.join(root, "README.md"), "w", encoding="utf-8") as file:
            file.write(readme.replace(*in_readme))
        return [sentence for _, sentence in mutants_report.faults(root, ["M24-a"])]


REPORTS = [
    ({"patch": "M24-b"}, ("", ""), "there is no mutant M24-b any more"),
    ({}, ("median", "mean"), "the score of reports/mutants.json is: 1 of 1 mutants killed"),
    ({"outcome": "survived"}, ("", ""), "the score of reports/mutants.json is: 0 of 1 mutants killed"),
]


def run():
    wrong = []
    if found := report_faults({}, ("", "")):
        wrong.append(f"a report in order is not: {found}")
    for in_report, in_readme, sentence in REPORTS:
        found = report_faults(in_report, in_readme)
        if not any(sentence in one for one in found):
            wrong.append(f"'{sentence}' was not said, but {found}")
    if found := faults(NAME, PATCH, TREE):
        wrong.append(f"a zoo in order is not: {found}")
    for name, in_patch, in_tree, sentence in CANARIES:
        tree = {path: text.replace(*in_tree) if in_tree[0] else text for path, text in TREE.items()}
        found = faults(name, PATCH.replace(*in_patch) if in_patch[0] else PATCH, tree)
        if not any(sentence in one for one in found):
            wrong.append(f"'{sentence}' was not said, but {found}")
    for verdict, laws in VERDICTS:
        if (found := mutants_run.laws_of({"violations": [], "reason": "", **verdict})) != laws:
            wrong.append(f"{verdict} was reported by {found}, not {laws}")
    for sentence in wrong:
        print(f"ci/mutants --self-test: {sentence}", file=sys.stderr)
    count = len(CANARIES) + len(VERDICTS) + len(REPORTS) + 2
    print(f"ci/mutants: {count} canaries, {len(wrong)} wrong", file=sys.stderr)
    return 1 if wrong else 0
