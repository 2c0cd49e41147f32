"""Faults planted in patches and in the tree, each of which `ci/mutants --check` must report; and a zoo in order."""

import os
import subprocess
import sys
import tempfile

import mutants_copy
import mutants_generic
import mutants_report
import mutants_rules
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


# A file of which each kind of change is known, and whether the program minds it: see generic_faults().
GENERIC_PATH = "harness/socket/thing.cc"
GENERIC = """#include <cstdio>
#include <cstring>

enum class Kind { first, second };

static int calls = 0;

static void count() {
  ++calls;
}

static Kind kind_of(int number) {
  if (number == 7) {
    return Kind::second;
  }
  return Kind::first;
}

static int never(int number) {
  int twice = number;
  twice += number;
  return twice;
}

int main(int arguments, char**) {
  int sum = 0;
  for (int i = 0; i < 4; ++i) {
    sum += i;
  }
  count();
  if (arguments > 5) {
    return never(sum);
  }
  switch (sum) {
    case 6:
      break;
    default:
      return 1;
  }
  const bool right = calls == 1 && kind_of(sum) == Kind::first && kind_of(7) == Kind::second;
  return right ? 0 : 1;
}
"""
# A change (operator, text), and what is known of it: `killed`, `not met` where no run comes to it, or `lives`.
GENERIC_CHANGES = [
    ("negated condition", "number == 7", "killed"),
    ("negated condition", "calls == 1", "killed"),
    ("removed statement", "count();", "killed"),
    ("removed statement", "++calls;", "killed"),
    ("removed statement", "sum += i;", "killed"),
    ("off by one", "4", "killed"),
    ("swapped constant", "Kind::second", "killed"),
    ("removed statement", "twice += number;", "not met"),
    ("off by one", "5", "lives"),
]
# No change may be made there: others need a declaration, a label is no expression, and a check is not the product's.
GENERIC_NONE = [("removed statement", "int sum = 0;"), ("removed statement", "int twice = number;"),
                ("swapped constant", "6"), ("removed statement", "return twice;"),
                ("removed statement", "return Kind::first;")]


def generic_faults():
    """Whether changes are found where they are known to be, can be switched on one by one, and are noted when met."""
    kinds = mutants_rules.enumerations([GENERIC])
    if kinds != {"Kind": ["first", "second"]}:
        yield f"the enumerations of the file are not {kinds}"
    changes = list(mutants_rules.changes_of(GENERIC_PATH, GENERIC, kinds))
    found = {(change.operator, change.text) for change in changes}
    yield from (f"no change '{operator}' of '{text}' was found" for operator, text, _ in GENERIC_CHANGES
                if (operator, text) not in found)
    yield from (f"there must be no change '{operator}' of '{text}'" for operator, text in GENERIC_NONE
                if (operator, text) in found)
    drawn = list(mutants_rules.drawing(changes, 1))
    if sorted(map(id, drawn)) != sorted(map(id, changes)):
        yield "a drawing does not hold each change once"
    if drawn != list(mutants_rules.drawing(changes, 1)) or drawn == list(mutants_rules.drawing(changes, 2)):
        yield "the seed does not decide the drawing"
    taken = []
    for change in drawn:
        if not any(mutants_rules.crosses(change, other) for other in taken):
            change.number = len(taken) + 1
            taken.append(change)
    with tempfile.TemporaryDirectory(prefix="tlsrig-zoo-") as root:
        yield from switched(root, taken)


def switched(root, changes):
    """Builds the file with all of the changes, and switches on those of which the outcome is known."""
    for path, text in ((mutants_rules.HEADER_PATH, mutants_rules.HEADER),
                       (GENERIC_PATH, mutants_rules.woven(GENERIC_PATH, GENERIC, changes))):
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)
    program = os.path.join(root, "program")
    built = subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-I", root, "-o", program,
                            os.path.join(root, GENERIC_PATH)], capture_output=True, text=True, check=False)
    if built.returncode != 0:
        yield "the changes do not compile: " + built.stderr
        return
    met = mutants_generic.Met(root)
    for number, text, expected in [(0, "", "lives")] + [
            (change.number, change.text, wanted) for change in changes for operator, text, wanted in GENERIC_CHANGES
            if (change.operator, change.text) == (operator, text)]:
        met.forget(number)
        environment = dict(os.environ, **met.environment(number))
        killed = subprocess.run([program], env=environment, check=False).returncode != 0
        was = "killed" if killed else "lives" if met.has(number) or number == 0 else "not met"
        if was != expected:
            yield f"change {number} ('{text}') is {was}, and not {expected}"


def loom_faults():
    """Whether what does not compile is taken out, and nothing else."""
    changes = list(mutants_rules.changes_of(GENERIC_PATH, GENERIC, {}))
    line = next(change.line for change in changes if change.text == "count();")
    kept = mutants_generic.without_guilty(changes, f"/tmp/copy/{GENERIC_PATH}:{line}:3: error: no such thing")
    lines = {change.line for change in changes} - {change.line for change in kept}
    if lines != {line}:
        yield f"an error of line {line} took out changes of the lines {sorted(lines)}"
    first = next(change for change in changes if change.text == "return Kind::second;")
    end = f"{GENERIC_PATH}:{first.line + 3}:1: error: control reaches end of non-void function"
    gone = [change for change in changes if change not in mutants_generic.without_guilty(changes, end)]
    if gone != [change for change in changes if change.text == "return Kind::second;" and
                change.operator == "removed statement"]:
        yield f"a function that has lost its return took out {[change.text for change in gone]}"
    try:
        mutants_generic.without_guilty(changes, "ninja: error: no space left on device")
        yield "an error of no line took something out"
    except mutants_copy.BuildFailed:
        pass


def record_faults():
    """Whether a sentence is found for the line that it is about and for no other, and a kill is kept for its change."""
    change = mutants_rules.Change(FILE, "off by one", 0, 1, "", "", "1", 2, number=3)
    with tempfile.TemporaryDirectory(prefix="tlsrig-zoo-") as root:
        for path, text in ((FILE, "int a() {\n  return b | 1;\n  return b + 1;\n}\n"), (mutants_generic.EQUIVALENT, (
                f"# Why.\n{FILE} | off by one | 1\n  return b | 1;\n  Nobody\n  asks.\n{FILE} | x | y\n  z\n  No.\n"))):
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        if mutants_generic.reason(root, change) != "Nobody asks.":
            yield f"the reason of a change is {mutants_generic.reasons(root)}"
        change.line = 3
        if mutants_generic.reason(root, change) is not None:
            yield "a change of another line has the reason of this one"
    record = mutants_generic.blank(change)
    if not mutants_generic.same(record, dict(record, line=2)) or mutants_generic.same(record, dict(record, number=4)):
        yield "a record is taken for that of another change"
    moved = [mutants_rules.Change(FILE, "off by one", 0, 1, "", "", text, line) for text, line in
             (("1", 9), ("2", 3), ("1", 5), ("1", 1))]
    found = mutants_generic.found_again(record, moved, moved[3:])
    if found is not moved[2] or found.number != record["number"]:
        yield "a change whose line has moved is not found where it stands now"
    if mutants_generic.found_again(dict(record, text="3"), moved, []) is not None:
        yield "a change that is gone is found"


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
    wrong += [*generic_faults(), *loom_faults(), *record_faults()]
    for sentence in wrong:
        print(f"ci/mutants --self-test: {sentence}", file=sys.stderr)
    count = len(CANARIES) + len(VERDICTS) + len(REPORTS) + \
        len(GENERIC_CHANGES) + len(GENERIC_NONE) + 2
    print(f"ci/mutants: {count} canaries, {len(wrong)} wrong", file=sys.stderr)
    return 1 if wrong else 0
