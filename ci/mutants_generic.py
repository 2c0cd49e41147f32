"""ci/mutants --generic: small changes drawn over the code under test, all of them in one build, one switched on at a
time."""

import concurrent.futures
import glob
import mmap
import os
import re
import resource
import subprocess
import time

import mutants_copy
import mutants_report
import mutants_rules
import mutants_run

SOURCES = ("harness/socket/*.cc", "backends/*/*.cc")
# Most changes break much, and a run in the lab waits for nobody: it comes first, and has the larger part.
TURNS = (("lab", 0.5), ("loopback", 0.15), ("lab", 0.35))
SPARE = 1.2
ATTEMPTS_MAX = 40  # builds, until everything that is woven in compiles
EQUIVALENT = "stress/mutants/equivalent.txt"
CONFORMANCE = "harness/engine/conformance/test_conformance_engines"
KIT_FAILED = re.compile(r"^\[  FAILED  \] (\S+)", re.M)
KIT_LIMIT = 10  # times the CPU time that the kit uses with no change switched on
ROOMS = ("harness/socket", "backends/gnutls", "backends/mbedtls", "backends/openssl")
DISCARD = re.compile(r"static_cast<void>\(\w+\);")
FUZZER = re.compile(r"^rig_fuzzer\((\w+)([^)]*)\)", re.M)
UNIT_TEST = re.compile(r"^\s*rig_test\((unit\.[\w.]+)", re.M)
SAYS = re.compile(r"^(?:\S*/)?((?:harness|backends)/\S+?\.cc):(\d+):\d+: (?:fatal )?error:", re.M)
ENDLESS = re.compile(r"^(?:\S*/)?((?:harness|backends)/\S+?\.cc):(\d+):\d+: error: control reaches end", re.M)
MENTIONS = re.compile(r"((?:harness|backends)/[\w/]+\.cc):(\d+)")


def without_guilty(changes, complaint):
    """What is left without the changes of the lines of which a compiler complains: they do not compile."""
    guilty = False
    for pattern in (SAYS, MENTIONS):
        lines = {(path, int(line)) for path, line in pattern.findall(complaint)}
        kept = [change for change in changes
                if not any((change.path, line) in lines for line in range(change.line, change.last_line + 1))]
        if len(kept) < len(changes):
            return kept
    # A function without its last return: the compiler names only where the function ends.
    for path, line in ENDLESS.findall(complaint):
        before = [change for change in changes if change.path == path and change.line < int(line) and
                  change.operator == "removed statement" and change.text.startswith("return")]
        if before:
            last = max(before, key=lambda change: change.line)
            changes = [change for change in changes if change is not last]
            guilty = True
    if guilty:
        return changes
    raise mutants_copy.BuildFailed("no change is to blame:\n" + complaint[-3000:])


def earlier_round(options):
    """What --json holds of an earlier round of the same seed, or None."""
    generic = mutants_report.read(options.json).get("generic") if options.json else None
    return generic if generic and generic["seed"] == options.seed else None


def earlier(options):
    """The records of an earlier round, if this one is to go on with it (--rest, --prefix)."""
    old = earlier_round(options) if options.rest or options.prefix else None
    return old["changes"] if old else []


def same(record, other, keys=("number", "file", "operator", "text")):
    return all(record.get(key) == other.get(key) for key in keys)


def found_again(record, possible, taken):
    """The change that a record of an earlier round is about, with its number: a source that has changed since draws
    others, and the round goes on with its own, each where its text stands now."""
    alike = [change for change in possible
             if same(record, blank(change), ("file", "operator", "text")) and change not in taken]
    if not alike:
        return None
    change = min(alike, key=lambda change: abs(change.line - record["line"]))
    change.number = record["number"]
    return change


class Loom:
    """Loom is a copy of the tree in which the drawn changes are woven in, each behind its switch."""

    def __init__(self, options):
        self.options = options
        self.copy = mutants_copy.Copy(options.root, options.at, options.jobs, options.prefix)
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
        for record in earlier(options):
            if change := found_again(record, self.possible, self.taken):
                self.taken.append(change)
                self.drawn = max(self.drawn, change.number)

    def fill(self):
        """Draws, with some to spare, so that what does not compile need not be replaced in a build of its own."""
        if len(self.taken) >= self.options.draw:
            return
        while len(self.taken) < self.options.draw * SPARE:
            change = next(self.order, None)
            if change is None:
                return
            self.drawn += 1
            if change.operator == "removed statement" and DISCARD.fullmatch(change.text):
                self.dropped += 1  # it does nothing: to take it away changes nothing
                continue
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
        """Builds with everything that compiles; answers the command and the folder of the build."""
        self.copy.restore()
        units = [name for room in ROOMS for name in unit_tests(self.options.root, room)] if self.options.units else []
        targets = ("tlsrig", "test_conformance_engines", "test_lab_errno", *replayers(self.options.root),
                   *("test_" + name.replace(".", "_") for name in units))
        for attempt in range(ATTEMPTS_MAX):
            self.fill()
            self.weave()
            show(f"building {len(self.taken)} changes, attempt {attempt + 1}, {self.dropped} dropped")
            try:
                return self.copy.build("dev", targets, keep_going=True), os.path.join(self.copy.at, "build/dev")
            except mutants_copy.BuildFailed as failure:
                self.drop(str(failure))
        raise mutants_copy.BuildFailed(f"after {ATTEMPTS_MAX} attempts there are still changes that do not compile")


def room_of(path):
    return next(room for room in ROOMS if path.startswith(room + "/"))


def replayers(root):
    """The programs that replay the fuzzers' corpora, as fuzz/CMakeLists.txt lists them."""
    with open(os.path.join(root, "fuzz/CMakeLists.txt"), encoding="utf-8") as file:
        for name, rest in FUZZER.findall(file.read()):
            libraries = [word for word in rest.partition(" LINK ")[0].split() if word != "BACKENDS"]
            yield from (f"fuzz_{name}_{library}" for library in libraries) if libraries else (f"fuzz_{name}",)


def unit_tests(root, room):
    """The names of a room's own unit tests."""
    with open(os.path.join(root, room, "CMakeLists.txt"), encoding="utf-8") as file:
        return UNIT_TEST.findall(file.read())


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


def cpu_seconds():
    """What the processes have used that have ended."""
    now = os.times()
    return now.children_user + now.children_system


def said_by(words, seconds=None, last=None, environment=None):
    """What a command said, and its exit code. `seconds` bounds its CPU time, so that a busy machine changes nothing; at
    a line that `last` matches the command is ended, and the code is 1."""
    def prepare():
        os.nice(10)
        if seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    said = ""
    with subprocess.Popen(words, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(os.environ, **(environment or {})), preexec_fn=prepare) as process:
        for line in process.stdout:
            said += line
            if last is not None and last.search(line):
                process.kill()
        code = process.wait()
    return said, 1 if last is not None and last.search(said) else code


class Kit:
    """Kit is the conformance kit, asked of one backend in all of its pairings."""

    def __init__(self, program, jobs):
        self.program, self.jobs, self.usual = program, jobs, {}

    def part(self, number, name, limit):
        shard = {"GTEST_TOTAL_SHARDS": str(self.jobs), "GTEST_SHARD_INDEX": str(number)}
        words = [self.program, "--gtest_brief=1", f"--gtest_filter=*{name}*:pairings.*"]
        return said_by(words, limit, KIT_FAILED, shard)

    def ask(self, room):
        """Its word: None if it is content, else a sentence; and its CPU time. First asked with no change on."""
        name = os.path.basename(room)
        usual = self.usual.get(name)
        limit = int(KIT_LIMIT * usual) + 10 if usual is not None else None
        before = cpu_seconds()
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            parts = list(pool.map(lambda number: self.part(number, name, limit), range(self.jobs)))
        used = cpu_seconds() - before
        self.usual.setdefault(name, used)
        for said, code in parts:
            if code != 0:
                failed = KIT_FAILED.search(said)
                return failed.group(1) if failed else f"exit code {code} after {used:.0f} s of CPU", used
        return None, used


def ask_tests(build, pattern, jobs):
    """The first test of this name that does not pass, or None; and the CPU time."""
    before = cpu_seconds()
    said, code = said_by(["ctest", "--test-dir", build, "-j", str(jobs), "--stop-on-failure", "--no-tests=error",
                          "-R", pattern])
    used = cpu_seconds() - before
    if code == 0:
        return None, used
    failed = re.search(r"^\s*\d+ - (\S+) \((.*)\)", said, re.M)
    return failed.group(1) if failed else said.strip().rpartition("\n")[2], used


def ask_units(options, build, room):
    """The first of a room's own unit tests that minds. They count apart: a suite must find a bug of a layer that it
    does not know, and they know theirs."""
    if not options.units:
        return None
    names = "|".join(map(re.escape, unit_tests(options.root, room)))
    return ask_tests(build, f"^({names})$", options.jobs)[0]


def behind_the_suites(room, build, kit, options):
    """What is asked of a change that the quick matrix lets live: who, where, and how; the cheapest comes first."""
    name = os.path.basename(room)
    library = name if room.startswith("backends/") else None
    def ask(pattern):
        return lambda: ask_tests(build, f"^{pattern}$", options.jobs)

    yield "corpus", "lab", ask(rf"corpus\.([a-z_]+_{library or '[a-z]+'}|differential)")
    yield "lab.errno", "lab", ask(rf"lab\.errno\.house\.{library or '[a-z]+'}")
    if library:
        yield "conformance", "engine", lambda: kit.ask(room)
    yield "lab.no_memory", "lab", ask(rf"lab\.no_memory\.send_load\.{library or 'mbedtls'}")
    yield "lab.no_memory", "lab", ask(rf"lab\.no_memory\.close_with_pending\.{library or 'gnutls'}")


def blank(change):
    return {"number": change.number, "file": change.path, "line": change.line, "operator": change.operator,
            "text": change.text}


def tell(record, screen):
    where = f"{record['number']} {record['file']}:{record['line']} {record['operator']} '{record['text'][:60]}'"
    if record["outcome"] == "killed":
        kill = record["first"]
        return screen.line(f"{where}: killed by {kill['by'][0]} after {kill['cpu_seconds']:.1f} s", 32)
    unit = f"; {record['unit']} minds it" if record["unit"] else ""
    return screen.line(f"{where}: SURVIVED{'' if record['met'] else ', no run came to it'}{unit}", 31)


def reasons(root):
    """Why a change cannot be told from the original, by file, operator, text and line; see stress/mutants/README.md."""
    path = os.path.join(root, EQUIVALENT)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        text = "\n".join(line for line in file.read().split("\n") if not line.startswith("#"))
    found = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        head, line, *why = (one.strip() for one in entry.split("\n"))
        found[(*head.split(" | "), line)] = " ".join(word for word in why if word)
    return found


def reason(root, change):
    """The sentence about this change, or None. Its line counts by what it says, not by its number."""
    with open(os.path.join(root, change.path), encoding="utf-8") as file:
        line = file.read().split("\n")[change.line - 1].strip()
    return reasons(root).get((change.path, change.operator, change.text, line))


def summary(records):
    killed = [record for record in records if record["outcome"] == "killed"]
    times = [record["first"]["cpu_seconds"] for record in killed]
    laws = {}
    for record in killed:
        laws[record["first"]["by"][0]] = laws.get(record["first"]["by"][0], 0) + 1
    return {"run": len(records), "killed": len(killed), "laws": laws,
            "equivalent": sum(record["outcome"] != "killed" and bool(record.get("why")) for record in records),
            "not_met": sum(record["outcome"] != "killed" and not record["met"] for record in records),
            "unit": sum(record["outcome"] != "killed" and bool(record.get("unit")) for record in records),
            "cpu_seconds_median": mutants_report.quantile(times, 50),
            "cpu_seconds_95": mutants_report.quantile(times, 95)}


class Stand:
    """Stand is the built copy with all that is asked of a change. It is made when everything is green with none on."""

    def __init__(self, options, screen):
        self.options, self.screen, self.loom = options, screen, Loom(options)
        self.tlsrig, self.build = self.loom.build(screen.status)
        self.kit = Kit(os.path.join(self.build, CONFORMANCE), options.jobs)
        self.met = Met(options.at)
        os.environ.update(self.met.environment(0))
        self.tree = mutants_copy.command(["git", "rev-parse", "--short", "HEAD"], options.root).strip()
        self.left_out = set()
        self.check_clean()

    def check_clean(self):
        control = mutants_run.Hunt([], None, self.options.jobs, self.screen.status)
        control.go(self.tlsrig, "house", None, self.options.each, turns=TURNS)
        failed = control.first["sentence"] if control.first else None
        for room in ROOMS:
            for question, suite, _, ask in self.questions(room):
                sentence = ask()[0]
                if sentence and self.options.prefix:
                    # Other libraries may fail where the packaged ones do not, as without memory.
                    self.left_out.add((room, question))
                    self.screen.line(f"{suite} is not asked for {room}: with these libraries it fails as it is "
                                     f"({sentence})", 33)
                    sentence = None
                failed = failed or sentence
            failed = failed or ask_units(self.options, self.build, room)
        if failed:
            raise mutants_copy.BuildFailed(f"with no change switched on the suites are not green: {failed}")

    def questions(self, room):
        """What is asked behind the quick matrix, with a number each, without what is left out."""
        for question, asked in enumerate(behind_the_suites(room, self.build, self.kit, self.options)):
            if (room, question) not in self.left_out:
                yield question, *asked

    def hunt(self, change, **more):
        """The record of one change, with its suites' and its tests' word."""
        record = dict(self.judged(change), tree=self.tree, **more)
        tell(record, self.screen)
        return record

    def judged(self, change):
        os.environ.update(self.met.environment(change.number))
        self.met.forget(change.number)
        hunt = mutants_run.Hunt([], None, self.options.jobs, self.screen.status)
        hunt.go(self.tlsrig, "house", None, self.options.each, turns=TURNS)
        record = dict(blank(change), met=self.met.has(change.number), runs=hunt.runs, cpu_seconds=round(hunt.cpu, 2))
        if hunt.first:
            kill = {key: hunt.first[key] for key in ("by", "world", "suite", "cell", "seed", "sentence", "cpu_seconds")}
            return dict(record, outcome="killed", first=kill)
        room = room_of(change.path)
        for _, suite, world, ask in self.questions(room):
            self.screen.status(suite)
            sentence, used = ask()
            record.update(met=self.met.has(change.number), cpu_seconds=round(record["cpu_seconds"] + used, 2))
            if sentence is not None:
                return dict(record, outcome="killed", first={
                    "by": [suite], "world": world, "suite": suite, "cell": "", "seed": 0, "sentence": sentence,
                    "cpu_seconds": record["cpu_seconds"]})
        why = reason(self.options.root, change)
        return dict(record, outcome="survived", first=None, unit=ask_units(self.options, self.build, room),
                    **({"why": why} if why else {}))


def hunt_elsewhere(options, screen):
    """With --prefix, what lived with the packaged libraries: a change may stand in code that only others come to. Its
    record is replaced where it is killed here, and says by which libraries."""
    generic = earlier_round(options)
    if not generic:
        raise mutants_copy.BuildFailed(f"--prefix needs --json with a round of seed {options.seed}: it goes on with "
                                       "what lived there")
    stand = Stand(options, screen)
    rooms = tuple(f"backends/{name}/" for name in options.backends.split(",")) if options.backends else ("",)
    records, killed, hunted = generic["changes"], 0, 0
    for at, record in enumerate(records):
        change = next((change for change in stand.loom.taken if same(record, blank(change))), None)
        if record["outcome"] == "killed" or change is None or not change.path.startswith(rooms):
            continue
        hunted += 1
        found = stand.hunt(change, prefix=[os.path.basename(one) for one in options.prefix.split(";")])
        if found["outcome"] == "killed" or (found["unit"] and not record["unit"]):
            killed += found["outcome"] == "killed"
            records[at] = found
            mutants_report.add_generic(options.json, dict(generic, summary=summary(records)))
    screen.line(f"{killed} of {hunted} changes killed that had lived")
    return 0 if killed == hunted else 1


def hunt_all(options, screen):
    known = [record for record in earlier(options) if record["outcome"] == "killed"]
    stand = Stand(options, screen)
    loom = stand.loom
    changes = sorted(loom.taken, key=lambda change: change.number)[:options.draw]
    screen.line(f"{len(changes)} changes of {len(loom.possible)} possible ones; {loom.dropped} did not compile")
    start, records = time.monotonic(), []
    for number, change in enumerate(changes):
        if options.budget and time.monotonic() - start >= options.budget:
            screen.line(f"the budget is used up: {len(changes) - number} changes were not run", 33)
            break
        screen.head = f"[{number + 1}/{len(changes)}]"
        record = next((record for record in known if same(record, blank(change))), None)
        records.append(dict(record, line=change.line) if record else stand.hunt(change))
        if options.json:
            mutants_report.add_generic(options.json, {
                "tree": stand.tree, "seed": options.seed, "each": options.each, "possible": len(loom.possible),
                "drawn": len(changes), "dropped": loom.dropped, "changes": records, "summary": summary(records)})
    found = summary(records)
    units = f"; the rooms' own unit tests mind {found['unit']} of them" if options.units else ""
    screen.line(f"{found['killed']} of {found['run']} changes killed; no run came to {found['not_met']} of the others"
                f"{units}")
    return 0 if records and found["killed"] == found["run"] else 1
