"""ci/mutants --generic: small changes drawn over the code under test, all of them in one build, one switched on at a
time."""

import glob
import mmap
import os
import re
import subprocess
import time

import mutants_copy
import mutants_report
import mutants_rules
import mutants_run

SOURCES = ("harness/socket/*.cc", "backends/*/*.cc")
SPARE = 1.2
ATTEMPTS_MAX = 40  # builds, until everything that is woven in compiles
EQUIVALENT = "stress/mutants/equivalent.txt"
CONFORMANCE = "harness/engine/conformance/test_conformance_engines"
SAYS = re.compile(r"^(?:\S*/)?((?:harness|backends)/\S+?\.cc):(\d+):\d+: (?:fatal )?error:", re.M)
MENTIONS = re.compile(r"((?:harness|backends)/[\w/]+\.cc):(\d+)")


def without_guilty(changes, complaint):
    """What is left without the changes of the lines of which a compiler complains: they do not compile."""
    for pattern in (SAYS, MENTIONS):
        lines = {(path, int(line)) for path, line in pattern.findall(complaint)}
        kept = [change for change in changes
                if not any((change.path, line) in lines for line in range(change.line, change.last_line + 1))]
        if len(kept) < len(changes):
            return kept
    raise mutants_copy.BuildFailed("no change is to blame:\n" + complaint[-3000:])


class Loom:
    """Loom is a copy of the tree in which the drawn changes are woven in, each behind its switch."""

    def __init__(self, options):
        self.options = options
        self.copy = mutants_copy.Copy(options.root, options.at, options.jobs)
        self.texts = {}
        for pattern in SOURCES:
            for path in glob.glob(os.path.join(options.root, pattern)):
                with open(path, encoding="utf-8") as file:
                    self.texts[os.path.relpath(path, options.root)] = file.read()
        headers = []
        for path in glob.glob(os.path.join(options.root, "harness/*/*.h")) + \
                glob.glob(os.path.join(options.root, "backends/*/*.h")):
            with open(path, encoding="utf-8") as file:
                headers.append(file.read())
        kinds = mutants_rules.enumerations(headers)
        self.possible = [change for path in sorted(self.texts)
                         for change in mutants_rules.changes_of(path, self.texts[path], kinds)]
        self.order = mutants_rules.drawing(self.possible, options.seed)
        self.taken, self.dropped, self.drawn = [], 0, 0

    def fill(self):
        """Draws, with some to spare, so that what does not compile need not be replaced in a build of its own."""
        if len(self.taken) >= self.options.draw:
            return
        while len(self.taken) < self.options.draw * SPARE:
            change = next(self.order, None)
            if change is None:
                return
            self.drawn += 1
            if self.drawn < mutants_rules.SWITCHES_MAX and \
                    not any(mutants_rules.crosses(change, other) for other in self.taken):
                change.number = self.drawn  # its number stays, whichever else is dropped
                self.taken.append(change)

    def weave(self):
        self.write(mutants_rules.HEADER_PATH, mutants_rules.HEADER)
        for path, text in self.texts.items():
            changes = [change for change in self.taken if change.path == path]
            self.write(path, mutants_rules.woven(path, text, changes) if changes else text)

    def write(self, path, text):
        target = os.path.join(self.copy.at, path)
        if os.path.exists(target):
            with open(target, encoding="utf-8") as file:
                if file.read() == text:
                    return
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)

    def drop(self, complaint):
        kept = without_guilty(self.taken, complaint)
        self.dropped += len(self.taken) - len(kept)
        self.taken = kept

    def build(self, show):
        """Builds with everything that compiles; answers the command and the conformance kit."""
        self.copy.restore()
        for attempt in range(ATTEMPTS_MAX):
            self.fill()
            self.weave()
            show(f"building {len(self.taken)} changes, attempt {attempt + 1}, {self.dropped} dropped")
            try:
                tlsrig = self.copy.build("dev", ("tlsrig", "test_conformance_engines"), keep_going=True)
                return tlsrig, os.path.join(self.copy.at, "build/dev", CONFORMANCE)
            except mutants_copy.BuildFailed as failure:
                self.drop(str(failure))
        raise mutants_copy.BuildFailed(f"after {ATTEMPTS_MAX} attempts there are still changes that do not compile")


class Met:
    """Met is the file in which a process notes the switches that it came to."""

    def __init__(self, at):
        self.path = os.path.join(at, "met")
        with open(self.path, "wb") as file:
            file.write(bytes(mutants_rules.SWITCHES_MAX))
        self.file = open(self.path, "r+b")  # closed with the process
        self.map = mmap.mmap(self.file.fileno(), mutants_rules.SWITCHES_MAX)

    def environment(self, number):
        """What a process is told, so that it switches a change on and notes what it meets."""
        return {"RIG_MUTANT": str(number), "RIG_MUTANT_MET": self.path}

    def forget(self, number):
        self.map[number] = 0

    def has(self, number):
        return self.map[number] != 0


def ask_conformance(program, limit):
    """The kit's word: None if it is content, else a sentence; and its CPU time."""
    before = os.times()
    try:
        done = subprocess.run([program, "--gtest_brief=1"], capture_output=True, text=True,
                              errors="replace", timeout=limit, check=False, preexec_fn=lambda: os.nice(10))
    except subprocess.TimeoutExpired:
        return f"it had not ended after {limit:.0f} s", limit
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    if done.returncode == 0:
        return None, used
    failed = re.search(r"\[  FAILED  \] (\S+)", done.stdout)
    return failed.group(1) if failed else f"exit code {done.returncode}", used


def blank(change):
    return {"number": change.number, "file": change.path, "line": change.line, "operator": change.operator,
            "text": change.text}


def hunt_one(change, tlsrig, kit, met, options, screen):
    os.environ.update(met.environment(change.number))
    met.forget(change.number)
    hunt = mutants_run.Hunt([], None, options.jobs, screen.status)
    hunt.go(tlsrig, "house", None, options.each)
    record = dict(blank(change), met=met.has(change.number), runs=hunt.runs, cpu_seconds=round(hunt.cpu, 2))
    if hunt.first:
        kill = {key: hunt.first[key] for key in ("by", "world", "suite", "cell", "seed", "sentence", "cpu_seconds")}
        return dict(record, outcome="killed", first=kill)
    sentence, used = ask_conformance(kit, 120) if change.path.startswith("backends/") else (None, 0.0)
    record.update(met=met.has(change.number), cpu_seconds=round(hunt.cpu + used, 2))
    if sentence is None:
        why = reasons(options.root).get((change.path, change.operator, change.text))
        return dict(record, outcome="survived", first=None, **({"why": why} if why else {}))
    return dict(record, outcome="killed", first={
        "by": ["conformance"], "world": "engine", "suite": "conformance", "cell": "", "seed": 0, "sentence": sentence,
        "cpu_seconds": record["cpu_seconds"]})


def tell(record, screen):
    where = f"{record['number']} {record['file']}:{record['line']} {record['operator']} '{record['text'][:60]}'"
    if record["outcome"] == "killed":
        kill = record["first"]
        return screen.line(f"{where}: killed by {kill['by'][0]} after {kill['cpu_seconds']:.1f} s", 32)
    return screen.line(f"{where}: SURVIVED{'' if record['met'] else ', no run came to it'}", 31)


def reasons(root):
    """Why a change cannot be told from the original, by file, operator and text; see stress/mutants/README.md."""
    path = os.path.join(root, EQUIVALENT)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(" | ") for line in file if line.strip() and not line.startswith("#")]
    return {tuple(words[:3]): words[3] for words in lines if len(words) == 4}


def summary(records):
    killed = [record for record in records if record["outcome"] == "killed"]
    times = [record["first"]["cpu_seconds"] for record in killed]
    laws = {}
    for record in killed:
        laws[record["first"]["by"][0]] = laws.get(record["first"]["by"][0], 0) + 1
    return {"run": len(records), "killed": len(killed), "laws": laws,
            "equivalent": sum(record["outcome"] != "killed" and bool(record.get("why")) for record in records),
            "not_met": sum(record["outcome"] != "killed" and not record["met"] for record in records),
            "cpu_seconds_median": mutants_report.quantile(times, 50),
            "cpu_seconds_95": mutants_report.quantile(times, 95)}


def hunt_all(options, screen):
    loom = Loom(options)
    tlsrig, kit = loom.build(screen.status)
    changes = sorted(loom.taken, key=lambda change: change.number)[:options.draw]
    screen.line(f"{len(changes)} changes of {len(loom.possible)} possible ones; {loom.dropped} did not compile")
    met = Met(options.at)
    os.environ.update(met.environment(0))
    control = mutants_run.Hunt([], None, options.jobs, screen.status)
    control.go(tlsrig, "house", None, options.each)
    if control.first:
        raise mutants_copy.BuildFailed("with no change switched on the suites are not green: " +
                                       control.first["sentence"])
    start, records = time.monotonic(), []
    for number, change in enumerate(changes):
        if options.budget and time.monotonic() - start >= options.budget:
            screen.line(f"the budget is used up: {len(changes) - number} changes were not run", 33)
            break
        screen.head = f"[{number + 1}/{len(changes)}]"
        records.append(hunt_one(change, tlsrig, kit, met, options, screen))
        tell(records[-1], screen)
        if options.json:
            mutants_report.add_generic(options.json, {
                "tree": mutants_copy.command(["git", "rev-parse", "--short", "HEAD"], options.root).strip(),
                "seed": options.seed, "possible": len(loom.possible), "drawn": len(changes),
                "dropped": loom.dropped, "changes": records, "summary": summary(records)})
    found = summary(records)
    screen.line(f"{found['killed']} of {found['run']} changes killed; no run came to {found['not_met']} of the others")
    return 0 if records and found["killed"] == found["run"] else 1
