"""The zoo: the patches of stress/mutants, their headers, and whether they still fit the tree."""

import os
import re
import subprocess

FOLDER = "stress/mutants"
FIELDS = ("Mutant", "Plants", "Bug", "Subject", "Backends", "Law", "Trigger", "Build")
BUILDS = ("dev", "asan", "tsan")
SUBJECTS = ("house", "direct")
BACKENDS = ("openssl", "gnutls", "mbedtls")
PRODUCT = ("backends/", "harness/socket/", "harness/subjects/direct/")
NAME = re.compile(r"(M\d\d)-[a-z0-9]+(-[a-z0-9]+)*(\.(openssl|gnutls|mbedtls))?$")


class Mutant:
    """Mutant is one patch: what its header says, and the files that it touches."""

    def __init__(self, name, text):
        self.name, self.text, self.fields = name, text, {}
        header = text.split("\ndiff --git ", 1)[0]
        for line in header.splitlines():
            match = re.match(r"([A-Z]\w+): (.*\S)\s*$", line)
            if match:
                self.fields[match.group(1)] = match.group(2)
        self.paths = re.findall(r"^\+\+\+ b/(\S+)", text, re.M)

    def words(self, field):
        return self.fields.get(field, "").split()

    @property
    def number(self):
        return self.fields.get("Mutant", "")

    @property
    def backend(self):
        """The only library that it concerns, or None."""
        words = self.words("Backends")
        return words[0] if len(words) == 1 and words[0] in BACKENDS else None


def load(root):
    folder = os.path.join(root, FOLDER)
    mutants = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".patch"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                mutants.append(Mutant(name[: -len(".patch")], file.read()))
    return mutants


def laws(root):
    with open(os.path.join(root, "harness/oracle/law.cc"), encoding="utf-8") as file:
        return set(re.findall(r'LawEntry\{Law::\w+, "([A-Z]\d)"', file.read()))


def header_faults(mutant, known_laws):
    """What is wrong with the header, a sentence each."""
    match = NAME.match(mutant.name)
    if not match:
        yield "the name is not of the form M24-what-is-planted or M24-what-is-planted.openssl."
    elif match.group(1) != mutant.number:
        yield f"the header says mutant {mutant.number or 'none'}, the name {match.group(1)}."
    for field in FIELDS:
        if not mutant.fields.get(field):
            yield f"the line '{field}: ...' is missing."
    for law in mutant.words("Law"):
        if law not in known_laws:
            yield f"there is no law {law}."
    if mutant.fields.get("Build", BUILDS[0]) not in BUILDS:
        yield f"the build is '{mutant.fields['Build']}'; it can be {', '.join(BUILDS)}."
    if mutant.fields.get("Subject", SUBJECTS[0]) not in SUBJECTS:
        yield f"the subject is '{mutant.fields['Subject']}'; it can be {' or '.join(SUBJECTS)}."
    for backend in mutant.words("Backends"):
        if backend != "all" and backend not in BACKENDS:
            yield f"there is no backend {backend}."
    if match and match.group(4) and match.group(4) != mutant.backend:
        yield "a name that ends in a library concerns that library alone."
    if not mutant.paths:
        yield "it changes nothing."
    for path in mutant.paths:
        if not path.startswith(PRODUCT) or "/tests/" in path:
            yield f"{path} is no code under test; a mutant is planted in {', '.join(PRODUCT)}."


def hunks(mutant):
    """Each hunk as its file, the line where it was made, and the lines that it expects there."""
    path, found = None, []
    for line in mutant.text.splitlines():
        if line.startswith("+++ b/"):
            path = line[len("+++ b/"):]
        elif match := re.match(r"@@ -(\d+)", line):
            found.append((path, int(match.group(1)), []))
        elif found and line[:1] in (" ", "-") and not line.startswith("--- "):
            found[-1][2].append(line[1:])
    return found


def moved_lines(mutant, root):
    """For each hunk that no longer fits: where it was, and the first line that is not there."""
    for path, at, expected in hunks(mutant):
        full = os.path.join(root, path)
        if not os.path.exists(full):
            yield f"{path} is gone."
            continue
        with open(full, encoding="utf-8") as file:
            lines = file.read().splitlines()
        if any(lines[i:i + len(expected)] == expected for i in range(len(lines))):
            continue
        lost = [line for line in expected if line not in lines]
        yield f"{path}:{at}: " + (f"the line '{lost[0].strip()}' is not there any more." if lost else
                                  "the lines are there, but not behind each other as they were.")


def fit_faults(mutant, root):
    """Whether the patch applies to the tree; if not, which lines have moved."""
    alone = dict(os.environ, GIT_CEILING_DIRECTORIES=os.path.dirname(root))
    checked = subprocess.run(["git", "apply", "--check", "-"], input=mutant.text, cwd=root, env=alone, text=True,
                             capture_output=True, check=False)
    if checked.returncode == 0:
        return
    moved = list(moved_lines(mutant, root))
    yield from moved or ["it does not apply: " + checked.stderr.strip().split("\n")[0]]


def check(root):
    """Faults of the whole zoo as (patch, sentence)."""
    known, mutants = laws(root), load(root)
    faults = [] if mutants else [(FOLDER, "there is no patch.")]
    for mutant in mutants:
        for sentence in [*header_faults(mutant, known), *fit_faults(mutant, root)]:
            faults.append((f"{FOLDER}/{mutant.name}.patch", sentence))
    return faults, len(mutants)
