"""Runs the ordinary suites against one build, and says what reported first."""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

# The worlds take turns, so that neither keeps the other waiting: the share of the time that each turn may use.
TURNS = (("lab", 0.15), ("loopback", 0.25), ("lab", 0.35), ("loopback", 0.25))
SEEDS = 100_000  # of one turn, more than it ever comes to
TICK = os.sysconf("SC_CLK_TCK")
SANITIZERS = (("ThreadSanitizer", "T1"), ("AddressSanitizer", "M1"), ("LeakSanitizer", "M1"), ("runtime error", "M1"))


def family(pid):
    """The process and its descendants."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except OSError:
        return [pid]
    return [pid] + [one for child in children for one in family(int(child))]


def cpu_seconds(pid):
    """What the process has used, its descendants with it, those that have ended as well."""
    ticks = 0
    for one in family(pid):
        try:
            with open(f"/proc/{one}/stat", encoding="ascii", errors="replace") as file:
                ticks += sum(int(word) for word in file.read().rpartition(")")[2].split()[11:15])
        except (OSError, ValueError):
            pass  # it has just ended: its parent counts it
    return ticks / TICK


def laws_of(verdict):
    """Who reported, most telling first: laws; 'crash' where a process died before any spoke; 'vacuous'; 'expectation'
    where a run did not end as its scenario says."""
    reason = verdict.get("reason", "")
    laws = [law for word, law in SANITIZERS if word in reason]
    laws += [violation["law"] for violation in verdict.get("violations", [])]
    if re.search(r"SIGPIPE|signal 13\b", reason):
        laws.append("P1")
    if not laws and verdict["verdict"] == "hang":
        laws = ["L1"]
    if not laws and verdict["verdict"] == "vacuous":
        laws = ["vacuous"]
    if not laws:
        laws = ["crash" if reason.startswith(("the process", "after the verdict")) else "expectation"]
    return list(dict.fromkeys(laws))


class Hunt:
    """Hunt is what the suites say about one build."""

    def __init__(self, expected, keep, jobs, show):
        self.expected, self.keep, self.jobs, self.show = set(expected), keep, jobs, show
        self.runs, self.cpu = 0, 0.0
        self.first = self.named = None  # verdicts, with the time they took
        self.laws, self.suites = {}, {}
        self.lacking = None  # why a world could not be entered at all

    def satisfied(self):
        return self.named is not None or (self.first is not None and not self.expected)

    def go(self, tlsrig, subject, backend, budget, round_=0, turns=TURNS):
        """Runs until a law of the header reports, or the budget (CPU seconds) is used up."""
        for turn, (world, share) in enumerate(turns):
            if self.satisfied():
                return
            first_seed = 1 + (round_ * len(turns) + turn) * SEEDS
            words = [tlsrig, "run", "--matrix", "quick", "--order", "mixed", "--world", world, "--subject", subject,
                     "--seeds", f"{first_seed}..{first_seed + SEEDS - 1}", "--json", "--jobs", str(self.jobs),
                     "--case-limit", "60s"]
            self.turn(words + (["--backend", backend] if backend else []), world, budget * share)

    def turn(self, words, world, budget):
        with tempfile.TemporaryDirectory(prefix="tlsrig-mutant-") as kept:
            process = subprocess.Popen([*words, "--keep", kept], cwd=kept, text=True, preexec_fn=lambda: os.nice(10),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            lines, errors = queue.Queue(), []
            readers = [threading.Thread(target=lambda: [lines.put(line) for line in process.stdout]),
                       threading.Thread(target=lambda: errors.extend(process.stderr))]
            for reader in readers:
                reader.start()
            used = before = 0.0
            while True:
                try:
                    verdict = json.loads(lines.get(timeout=0.1))
                    used = max(used, cpu_seconds(process.pid))
                    self.take(verdict, world, self.cpu + used, kept)
                except queue.Empty:
                    used = max(used, cpu_seconds(process.pid))
                if used - before > 0.5:
                    before = used
                    self.show(f"{world} {self.cpu + used:.0f} s, {self.runs} runs")
                ended = process.poll() is not None
                if self.satisfied() or used >= budget or ended:
                    break
            if not ended:
                process.send_signal(signal.SIGTERM)  # a process of the background may ignore the other
            code = process.wait()
            for reader in readers:
                reader.join()
            process.stdout.close()
            process.stderr.close()
            self.cpu += used
            if code == 3 or (code == 2 and ended):
                self.lacking = "".join(errors).strip().split("\n")[-1]

    def take(self, verdict, world, cpu, kept):
        self.runs += 1
        if verdict["verdict"] in ("pass", "skip"):
            return
        found = laws_of(verdict)
        suite = verdict["suite"]
        for law in found:
            self.laws[law] = self.laws.get(law, 0) + 1
        self.suites[suite] = self.suites.get(suite, 0) + 1
        told = verdict.get("violations") or [{}]
        known = [law for law in found if law in self.expected]
        if self.first is not None and (self.named is not None or not known):
            return
        record = {"by": found, "world": world, "suite": suite, "cell": verdict["cell"], "seed": verdict["seed"],
                  "verdict": verdict["verdict"], "sentence": told[0].get("message") or verdict.get("reason", ""),
                  "runs": self.runs, "cpu_seconds": round(cpu, 2), "scenario": self.save(verdict, kept)}
        self.first = self.first or record
        if known:
            self.named = dict(record, by=known + [law for law in found if law not in known])

    def save(self, verdict, kept):
        """The scenario goes where it is asked for; its name is the answer."""
        name = os.path.basename(verdict.get("repro", "").rpartition(" ")[2].strip("'"))
        source = os.path.join(kept, name)
        if not name.endswith(".scn") or self.keep is None:
            return None
        # The verdict is printed when its scenario has been written.
        os.makedirs(self.keep, exist_ok=True)
        target = os.path.join(self.keep, name)
        shutil.copyfile(source, target)
        return target


def shrink(tlsrig, scenario, limit):
    """Makes a kept scenario of the lab smaller, for at most `limit` seconds; the name of what is kept."""
    small = scenario[: -len(".scn")] + ".small.scn"
    process = subprocess.Popen([tlsrig, "shrink", scenario, "--output", small], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: os.nice(10))
    until = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return small if os.path.exists(small) else scenario
