#!/usr/bin/env python3
"""The tlsrig command from outside: what it prints, what it writes, how it ends.

  command_test.py TLSRIG BAD_SUBJECT.so SANITIZER [unittest arguments...]      SANITIZER: none, address or thread
"""

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

TLSRIG, BAD, SANITIZER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
# One plain cell of one suite: quick, and there in every build.
ONE = ["--suite", "send_load", "--client", "null", "--tls", "none", "--poller", "epoll", "--fast-track", "on",
       "--size", "tiny"]
LIMIT = 300
CI = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../ci")
CI_RIG, MATRIX = os.path.join(CI, "rig"), os.path.join(CI, "matrix.json")


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tlsrig-command-")
        self.addCleanup(self.folder.cleanup)
        self.at = self.folder.name

    def tlsrig(self, *arguments, bad=None, **more):
        environment = dict(os.environ, **({"RIG_BAD": bad} if bad else {}))
        return subprocess.run([TLSRIG, *arguments], cwd=self.at, env=environment, capture_output=True, text=True,
                              timeout=LIMIT, check=False, **more)

    def refused(self, code, sentence, *arguments, **more):
        """One sentence on stderr, nothing on stdout, nothing written."""
        before = sorted(os.listdir(self.at))
        result = self.tlsrig(*arguments, **more)
        self.assertEqual(result.returncode, code, result)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r"\Atlsrig: [^\n]*\n\Z")
        self.assertIn(sentence, result.stderr)
        self.assertEqual(sorted(os.listdir(self.at)), before)

    def write(self, name, text):
        with open(os.path.join(self.at, name), "w", encoding="utf-8") as file:
            file.write(text)


class WrongUsage(Command):
    def test_no_command(self):
        self.refused(2, "say what to do: run, list, replay, shrink, doctor, report or probe")

    def test_unknown_command(self):
        self.refused(2, "there is no command 'rnu'; did you mean 'run'?", "rnu")

    def test_unknown_option(self):
        self.refused(2, "there is no option '--suit'; did you mean '--suite'?", "run", "--suit", "send_load")
        self.refused(2, "there is no option '--tracefile'", "run", "--tracefile=x")

    def test_one_word_too_many(self):
        self.refused(2, "'send_load' is one word too many for tlsrig run", "run", "send_load")

    def test_option_without_value(self):
        self.refused(2, "--suite", "run", "--suite")

    def test_unknown_suite(self):
        self.refused(2, "there is no suite 'send_laod'; did you mean 'send_load'?", "run", "--suite", "send_laod")

    def test_unknown_values(self):
        for option in ("--tls", "--poller", "--fast-track", "--matrix", "--size"):
            self.refused(2, f"{option}: there is no value 'zzz'; there is ", "run", option, "zzz")

    def test_seeds_and_times(self):
        self.refused(2, "--seeds: the seeds 5..1 end before they begin", "run", "--seeds", "5..1")
        self.refused(2, "--seed: 'x' is no range of seeds", "run", "--seed", "x")
        self.refused(2, "--for: '60' is no duration; it reads 500ms, 60s, 5m or 2h", "run", "--for", "60")
        self.refused(2, "--jobs: '0' is no number from 1 to 1024", "run", "--jobs", "0")
        self.refused(2, "--for", "run", "--for", "1s", "--seeds", "1..2")

    def test_unknown_library(self):
        self.refused(2, "--client: the subject plain has no library 'nul'; did you mean 'null'?",
                     "run", "--subject", "plain", "--client", "nul")

    def test_a_library_on_either_side(self):
        self.refused(2, "--backend: the subject plain has no library 'nul'", "run", "--subject", "plain",
                     "--backend", "nul")

    def test_library_that_is_not_there(self):
        self.refused(3, "--server: the subject plain has no library 'openssl'; there is null",
                     "run", "--subject", "plain", "--server", "openssl")

    def test_nothing_selected(self):
        self.refused(2, "no case is selected", "run", "--client", "null", "--tls", "1.3")

    def test_unknown_subject(self):
        self.refused(2, "there is no subject 'hause'; did you mean 'house'?", "run", "--subject", "hause")

    def test_list_of_nothing(self):
        self.refused(2, "there is no value 'suits'; did you mean 'suites'?", "list", "suits")
        self.refused(2, "--ctest PROGRAM belongs to `tlsrig list cases`", "list", "suites", "--ctest", "stress")

    def test_unknown_world(self):
        self.refused(2, "--world: there is no value 'moon'", "run", "--world", "moon")

    def test_what_belongs_to_the_lab(self):
        for weather in ("by-seed", "adversarial"):
            self.refused(2, "--weather needs --world lab: the real kernel makes its own", "run", "--weather", weather)
        self.refused(2, "--no-memory needs --world lab", "run", "--no-memory", "once")


class Lacking(Command):
    def test_subject_that_cannot_be_opened(self):
        self.refused(3, "./no.so", "run", "--subject", "./no.so")

    def test_subject_of_another_abi(self):
        self.refused(3, "was built for another version of subject.h", "run", "--subject", BAD, bad="abi")

    def test_report_folder_that_cannot_be_written(self):
        self.write("file", "")
        self.refused(3, "file' is a file; a report is written to a folder", "run", *ONE, "--report", "file")
        self.refused(3, "Not a directory", "run", *ONE, "--report", "file/below")
        self.refused(3, "cannot write into 'file/below': Not a directory", "run", *ONE, "--keep", "file/below")

    def test_report_folder_with_other_things(self):
        os.mkdir(os.path.join(self.at, "work"))
        self.write("work/thesis.tex", "years of work")
        self.refused(3, "holds other things than a report", "run", *ONE, "--report", "work")

    def test_no_descriptors_for_a_case(self):
        self.lacking("ulimit -n 6", r"no process for a case: .*raise the limit \(ulimit -n\)", "run", *ONE)

    def test_ipv6_that_is_not_there_is_a_skip_that_says_so(self):
        advice = "no IPv6 on the loopback; enable it: sysctl net.ipv6.conf.lo.disable_ipv6=0"
        self.write("a.scn", self.plain_scenario(True))
        inside = "echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6"
        result = self.in_own_network(inside, "replay", "a.scn")
        self.assertEqual(result.returncode, 3, result)
        self.assertRegex(result.stdout, r"\ASKIP [^\n]*: " + re.escape(advice))
        self.assertIn(advice, self.in_own_network(inside, "doctor").stdout)

    def test_few_descriptors(self):
        self.write("a.scn", self.plain_scenario(False))
        for limit in (8, 9, 10, 11, 12, 200):
            sentence = r"only \d+ descriptors are free, a case needs up to 256; raise the limit: ulimit -n 4096"
            self.lacking(f"ulimit -n {limit}", sentence, "run", *ONE, "--report", "report")
            self.lacking(f"ulimit -n {limit}", sentence, "replay", "a.scn")
            self.lacking(f"ulimit -n {limit}", sentence, "replay", "--in-process", "a.scn")

    def test_no_free_port(self):
        self.write("a.scn", self.plain_scenario(False))
        lo_up = ("import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, "
                 "struct.pack('16sH14x', b'lo', 1 | 64))")
        inside = (f"{sys.executable} -c {shlex.quote(lo_up)}; "
                  "echo '40000 40000' > /proc/sys/net/ipv4/ip_local_port_range")
        good = self.in_own_network(inside.split("; echo", maxsplit=1)[0], "replay", "a.scn")
        self.assertEqual(good.returncode, 0, good)
        for arguments in (["run", *ONE, "--report", "report"], ["replay", "a.scn"]):
            result = self.in_own_network(inside, *arguments)
            self.assertEqual(result.returncode, 3, result)
            self.assertRegex(result.stderr, r"\Atlsrig: no port is free on the loopback \([^\n]*\); end what holds "
                                            r"them, or widen net\.ipv4\.ip_local_port_range\n\Z")
            self.assertNotIn("FAIL", result.stdout)
            self.assertEqual(os.listdir(self.at), ["a.scn"])

    def plain_scenario(self, ipv6):
        """The text of the scenario that ONE runs, as a failure of it is kept, over either IP."""
        self.tlsrig("run", "--subject", BAD, *ONE, "--keep", "kept", bad="abort")
        name = [file for file in os.listdir(os.path.join(self.at, "kept")) if file.endswith(".scn")][0]
        with open(os.path.join(self.at, "kept", name), encoding="utf-8") as file:
            text = file.read()
        shutil.rmtree(os.path.join(self.at, "kept"))
        text = re.sub(r" subject=\S+", " subject=house", text)
        return re.sub(r" ipv6=\S+", " ipv6=on" if ipv6 else " ipv6=off", text)

    def in_own_network(self, setting, *arguments):
        """Run in a network of its own. Where the system does not let this user have one, the test cannot be asked."""
        network = ["unshare", "--user", "--map-root-user", "--net"]
        if subprocess.run([*network, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no network namespaces here (unshare -rn)")
        return subprocess.run([*network, "bash", "-c", f"{setting}; exec {shlex.join([TLSRIG, *arguments])}"],
                              cwd=self.at, capture_output=True, text=True, timeout=LIMIT, check=False)

    def test_an_earlier_report_is_left_alone(self):
        self.assertEqual(self.tlsrig("run", *ONE, "--report", "report").returncode, 0)
        before = self.contents("report")
        self.assertIn('"pass"', before["verdicts.jsonl"])
        self.lacking("ulimit -n 6", "no process for a case: ", "run", *ONE, "--report", "report")
        self.assertEqual(self.contents("report"), before)

    def contents(self, folder):
        texts = {}
        for name in os.listdir(os.path.join(self.at, folder)):
            with open(os.path.join(self.at, folder, name), encoding="utf-8") as file:
                texts[name] = file.read()
        return texts

    def lacking(self, setting, sentence, *arguments):
        """Refused under `setting`, a line of the shell: nothing on stdout but progress, and nothing written."""
        before = sorted(os.listdir(self.at))
        command = f"{setting}; exec {shlex.join([TLSRIG, *arguments])}"
        result = subprocess.run(["bash", "-c", command], cwd=self.at, capture_output=True, text=True, timeout=LIMIT,
                                check=False)
        self.assertEqual(result.returncode, 3, result)
        self.assertRegex(result.stderr, r"\Atlsrig: " + sentence + r"[^\n]*\n\Z")
        self.assertNotIn("passed", result.stdout)
        self.assertNotIn("FAIL", result.stdout)
        self.assertEqual(sorted(os.listdir(self.at)), before)


class Replay(Command):
    def test_file_that_is_not_there(self):
        self.refused(2, "no.scn: No such file or directory", "replay", "no.scn")

    def test_folder(self):
        self.refused(2, ".: Is a directory", "replay", ".")

    def test_syntax_error_names_line_and_column(self):
        self.write("a.scn", "scenario 1\nsuite x\nsede 17\n")
        self.refused(2, "a.scn:3:1: ", "replay", "a.scn")

    def test_the_real_kernel_has_no_events_to_write(self):
        self.write("a.scn", "scenario 1\ncell subject=plain client=null server=null tls=none world=loopback\n")
        self.refused(2, "--trace: only a run in the lab has events to write", "replay", "a.scn", "--trace", "t.json")

    def test_what_was_kept_runs_again(self):
        failed = self.tlsrig("run", "--subject", BAD, *ONE, bad="abort")
        repro = re.search(r"tlsrig replay (\S+)", failed.stdout).group(1)
        again = self.tlsrig("replay", repro, bad="abort")
        self.assertEqual(again.returncode, 1, again)
        self.assertIn("ended by signal 6", again.stdout)
        good = self.tlsrig("replay", repro, "--subject", "plain")
        self.assertEqual(good.returncode, 0, good)
        self.assertRegex(good.stdout, r"\APASS stress\.send_load\.null~null")
        here = self.tlsrig("replay", repro, "--subject", "plain", "--in-process", "--json")
        self.assertEqual((here.returncode, json.loads(here.stdout)["verdict"]), (0, "pass"), here)

    def test_what_the_subject_cannot_do_is_said(self):
        self.write("a.scn", "scenario 1\ncell subject=plain client=wolfssl server=null tls=none auth=psk "
                            "world=loopback poller=epoll fast_track=on nodelay_client=on nodelay_server=on ipv6=off\n")
        result = self.tlsrig("replay", "a.scn")
        self.assertEqual(result.returncode, 3, result)
        self.assertIn("SKIP", result.stdout)
        self.assertIn("plain has no library 'wolfssl'", result.stdout)


class Lab(Command):
    def crash(self):
        """A run in the lab of a subject that aborts, and the scenario that was kept of it."""
        failed = self.tlsrig("run", "--world", "lab", "--subject", BAD, *ONE, "--seed", "1", bad="abort")
        self.assertEqual(failed.returncode, 1, failed)
        return re.search(r"tlsrig replay (\S+)", failed.stdout).group(1)

    def test_green(self):
        result = self.tlsrig("run", "--world", "lab", *ONE, "--seeds", "1..3", "--json")
        self.assertEqual(result.returncode, 0, result)
        hashes = {json.loads(line)["hash"] for line in result.stdout.splitlines()}
        self.assertEqual(len(hashes), 3, result)

    def test_the_same_seed_has_the_same_hash_in_every_process(self):
        lines = {self.tlsrig("run", "--world", "lab", *ONE, "--seed", "7", "--json").stdout for _ in range(3)}
        self.assertEqual(len({json.loads(line)["hash"] for line in lines}), 1, lines)

    def test_a_crash_leaves_its_schedule(self):
        with open(os.path.join(self.at, self.crash()), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("world=lab", text)
        self.assertRegex(text, r"(?m)^lab policy=none ")
        self.assertRegex(text, r"(?m)^recorded \d+ events schedule [0-9a-f]{16} bytes [0-9a-f]{16}$")

    def test_what_was_kept_runs_again_and_does_not_diverge(self):
        kept = self.crash()
        for _ in range(3):
            again = self.tlsrig("replay", kept, bad="abort")
            self.assertEqual(again.returncode, 1, again)
            self.assertNotIn("DIVERGED", again.stderr)

    def test_another_run_than_the_recorded_one_is_called_so(self):
        kept = self.crash()
        again = self.tlsrig("replay", kept, "--subject", "plain")
        self.assertIn("DIVERGED", again.stderr)

    def test_shrink(self):
        kept = self.crash()
        result = self.tlsrig("shrink", kept, "--output", "small.scn", bad="abort")
        self.assertEqual(result.returncode, 0, result)
        again = self.tlsrig("replay", "small.scn", bad="abort")
        self.assertEqual(again.returncode, 1, again)
        with open(os.path.join(self.at, "small.scn"), encoding="utf-8") as file:
            self.assertNotIn("switches", file.read())  # it aborts under every schedule

    def test_shrink_of_what_does_not_fail(self):
        kept = self.crash()
        self.refused(2, "it does not fail: the verdict is pass", "shrink", kept, "--subject", "plain")
        self.assertFalse(os.path.exists(os.path.join(self.at, kept.replace(".scn", ".small.scn"))))

    def test_trace(self):
        kept = self.crash()
        result = self.tlsrig("replay", kept, "--subject", "plain", "--trace", "trace.json")
        self.assertEqual(result.returncode, 0, result)
        with open(os.path.join(self.at, "trace.json"), encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
        phases = {event["ph"] for event in events}
        self.assertEqual(phases, {"M", "X", "b", "e", "C"})
        begun = sum(event["ph"] == "b" for event in events)
        self.assertEqual(begun, sum(event["ph"] == "e" for event in events))
        self.assertGreater(begun, 0)


class Run(Command):
    def test_green(self):
        result = self.tlsrig("run", *ONE, "--seeds", "1..3")
        self.assertEqual(result.returncode, 0, result)
        self.assertRegex(result.stdout, r"\A3 passed, 0 failed, 0 hung, 0 vacuous, 0 skipped in \S+ s\n\Z")
        self.assertEqual(result.stderr, "")
        self.assertEqual(os.listdir(self.at), [])

    def test_json(self):
        result = self.tlsrig("run", *ONE, "--seeds", "4..5", "--json", "--jobs", "1")
        verdicts = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([(v["verdict"], v["suite"], v["seed"]) for v in verdicts],
                         [("pass", "send_load", 4), ("pass", "send_load", 5)])
        self.assertIn("2 passed", result.stderr)

    def test_for_a_time_goes_from_seed_to_seed(self):
        result = self.tlsrig("run", *ONE, "--for", "2s", "--seed", "10", "--json", "--jobs", "1")
        seeds = [json.loads(line)["seed"] for line in result.stdout.splitlines()]
        self.assertEqual(result.returncode, 0, result)
        self.assertGreater(len(seeds), 1)
        self.assertEqual(seeds, list(range(10, 10 + len(seeds))))

    def test_mixed_order_lets_the_suites_take_turns(self):
        def order(*more):
            result = self.tlsrig("run", "--subject", "plain", "--suite", "send_load", "--suite", "bidir", "--size",
                                 "tiny", "--order", "mixed", "--json", "--jobs", "1", *more)
            self.assertEqual(result.returncode, 0, result)
            return [(v["suite"], v["cell"]) for v in map(json.loads, result.stdout.splitlines())]
        once = order("--seed", "1")
        self.assertEqual(order("--seed", "1"), once)
        self.assertEqual(sorted(order("--seed", "2")), sorted(once))
        self.assertNotEqual(order("--seed", "2"), once)
        turns = len(once) // 2
        self.assertEqual([{suite for suite, _ in once[2 * i:2 * i + 2]} for i in range(turns)],
                         [{"send_load", "bidir"}] * turns)

    def test_the_first_failure_can_end_the_run(self):
        arguments = ["run", "--subject", BAD, *ONE, "--keep", "kept", "--seeds", "1..5", "--json", "--jobs", "1"]
        result = self.tlsrig(*arguments, "--stop-first", bad="abort")
        self.assertEqual(result.returncode, 1, result)
        self.assertEqual([json.loads(line)["verdict"] for line in result.stdout.splitlines()], ["fail"])
        self.assertEqual(len(self.tlsrig(*arguments, bad="abort").stdout.splitlines()), 5)

    def test_ci_rigs_line_takes_other_words_for_what_it_has_set(self):
        with open(CI_RIG, encoding="utf-8") as file:
            line = re.search(r"^build/\S+/tlsrig (run .*) \"\$@\" ", file.read(), re.MULTILINE).group(1)
        preset = shlex.split(line.replace("$jobs", "2"))
        result = self.tlsrig(*preset, *ONE, "--matrix", "full", "--jobs", "1", "--report", "mine", "--json")
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual([json.loads(text)["suite"] for text in result.stdout.splitlines()], ["send_load"])
        self.assertEqual(os.listdir(self.at), ["mine"])
        for option in ("--matrix", "--size", "--jobs", "--report"):
            self.assertIn(option, preset)
        self.refused(2, "--size: there is no value 'zzz'", *preset, "--size", "zzz")

    def failing(self, what, *more):
        result = self.tlsrig("run", "--subject", BAD, *ONE, "--keep", "kept here", *more, bad=what)
        self.assertEqual(result.returncode, 1, result)
        kept = sorted(os.listdir(os.path.join(self.at, "kept here")))
        name = "send_load.null~null.plain.epoll.fast_on.bad_subject.seed1"
        self.assertEqual([k for k in kept if k.endswith(".scn")], [name + ".scn"])
        self.assertIn(f"  tlsrig replay 'kept here/{name}.scn'\n", result.stdout)
        return result.stdout, kept

    def test_crash(self):
        text, kept = self.failing("abort")
        self.assertRegex(text, r"FAIL stress\.send_load\.\S+\.bad_subject seed 1: the process was ended by signal 6")
        self.assertIn("  | the bad subject is about to abort\n", text)
        self.assertIn("0 passed, 1 failed, 0 hung, 0 vacuous, 0 skipped", text)
        self.assertEqual(len([k for k in kept if k.endswith(".log")]), 1)

    def test_exit_behind_the_runner(self):
        text, _ = self.failing("exit")
        self.assertIn("the process exited with 7: the bad subject is about to exit", text)

    def test_refusal(self):
        text, _ = self.failing("give up")
        self.assertIn("the run could not be set up", text)

    def test_hang_is_killed_at_the_limit(self):
        text, _ = self.failing("hang", "--case-limit", "1s")
        self.assertRegex(text, r"HANG stress\.send_load\.\S+ seed 1: .*was killed")
        self.assertIn("0 passed, 0 failed, 1 hung", text)

    def test_interrupt_stops_the_children_and_writes_what_there_is(self):
        self.interrupted(signal.SIGINT)
        self.interrupted(signal.SIGTERM)

    def interrupted(self, which):
        report = f"report-{which.name}"
        command = [TLSRIG, "run", "--subject", BAD, "--suite", "send_load", "--jobs", "2", "--report", report]
        with subprocess.Popen(command, cwd=self.at, env=dict(os.environ, RIG_BAD="hang"), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            children = []
            while len(children) < 2:
                self.assertIsNone(process.poll())
                with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="utf-8") as file:
                    children = file.read().split()
            process.send_signal(which)
            out, _ = process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, 130, out)
        self.assertIn("interrupted: the cases that still run are stopped\n", out)
        self.assertIn("0 passed, 0 failed", out)
        self.assertEqual([c for c in children if os.path.exists(f"/proc/{c}")], [])
        self.assertEqual(sorted(f for f in os.listdir(os.path.join(self.at, report))),
                         ["index.html", "junit.xml", "verdicts.jsonl"])

    def test_report(self):
        result = self.tlsrig("run", "--subject", BAD, *ONE, "--report", "report", bad="abort")
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("report: report/index.html\n", result.stdout)
        self.assertEqual(sorted(os.listdir(os.path.join(self.at, "report"))),
                         ["failures", "index.html", "junit.xml", "verdicts.jsonl"])
        kept = os.listdir(os.path.join(self.at, "report", "failures"))
        repro = re.search(r"tlsrig replay report/failures/(\S+)", result.stdout).group(1)
        self.assertEqual(sorted(kept), [repro.replace(".scn", ".log"), repro])
        os.remove(os.path.join(self.at, "report", "index.html"))
        again = self.tlsrig("report", "report")
        self.assertEqual(again.returncode, 0, again)
        self.assertTrue(os.path.exists(os.path.join(self.at, "report", "index.html")))
        self.assertEqual(os.listdir(os.path.join(self.at, "report", "failures")), kept)

    def test_report_of_the_zoo(self):
        self.write("zoo.json", '{"mutants": [], "summary": {"survived": []}}')
        result = self.tlsrig("report", "zoo.json")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "report: zoo.html\n", ""))
        self.assertIn("zoo.html", os.listdir(self.at))
        self.write("other.json", "[1]")
        self.refused(2, "other.json: no report of ci/mutants", "report", "other.json")
        self.refused(2, "cannot read none.json", "report", "none.json")

    def test_report_of_nothing(self):
        self.refused(2, "verdicts.jsonl", "report", ".")
        self.write("verdicts.jsonl", "nonsense\n")
        self.refused(2, "line 1 of '", "report", ".")


# Memory errors and races are laws (M1, T1) of a sanitizer's build: each of these must be reported there by its law and
# in the sanitizer's own words. That nothing is reported where nothing is, the green runs show.
SEEN = {"address": {"leak": ("M1", "exited with [0-9]+: .*LeakSanitizer: detected memory leaks"),
                    "use after free": ("M1", "AddressSanitizer: heap-use-after-free"),
                    "overflow": ("M1", "runtime error: signed integer overflow")},
        "thread": {"race": ("T1", "WARNING: ThreadSanitizer: data race")}}


class Sanitizers(Command):
    def test_what_is_planted_is_reported_by_its_law(self):
        for what, (law, words) in SEEN.get(SANITIZER, {}).items():
            result = self.tlsrig("run", "--subject", BAD, *ONE, bad=what)
            self.assertEqual(result.returncode, 1, result)
            self.assertRegex(result.stdout, "FAIL [^\n]*" + words)
            result = self.tlsrig("run", "--subject", BAD, *ONE, "--json", bad=what)
            verdict = json.loads(result.stdout.splitlines()[0])
            self.assertEqual([violation["law"] for violation in verdict["violations"]], [law], verdict)

    def test_a_plain_crash_breaks_no_law(self):
        result = self.tlsrig("run", "--subject", BAD, *ONE, "--json", bad="exit")
        self.assertEqual(json.loads(result.stdout.splitlines()[0])["violations"], [], result.stdout)


class Terminal(Command):
    def on_terminal(self, *arguments, **environment):
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.at)
            os.execve(TLSRIG, [TLSRIG, *arguments], dict(os.environ, TERM="xterm", RIG_BAD="abort", **environment))
        output = b""
        while True:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:
                break
            if not chunk:
                break
            output += chunk
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), output.decode()

    def test_one_status_line_that_is_written_over(self):
        code, text = self.on_terminal("run", *ONE, "--for", "1s", "--jobs", "1")
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"\d+ done, 0 not green, [\d.]+/s\r\x1b\[K")
        self.assertRegex(text, r"\x1b\[32m\d+ passed, 0 failed.*\x1b\[0m\r\n\Z")

    def test_colours_can_be_switched_off(self):
        code, text = self.on_terminal("run", "--subject", BAD, *ONE, NO_COLOR="1")
        self.assertEqual(code, 1, text)
        self.assertNotIn("\x1b[3", text)
        code, text = self.on_terminal("run", "--subject", BAD, *ONE, NO_COLOR="")
        self.assertIn("\x1b[31mFAIL\x1b[0m", text)


class Lists(Command):
    def test_all(self):
        result = self.tlsrig("list")
        self.assertEqual(result.returncode, 0, result)
        for what in ("suites:\n", "\nsubjects:\n", "\nbackends:\n", "\nlaws:\n"):
            self.assertIn(what, result.stdout)

    def test_json_is_one_object_per_line(self):
        for what, name in (("suites", "send_load"), ("subjects", "house"), ("backends", "null"), ("laws", "C1"),
                           ("cases", None)):
            entries = [json.loads(line) for line in self.tlsrig("list", what, "--json").stdout.splitlines()]
            self.assertTrue(entries, what)
            self.assertIn(name or entries[0]["name"], [entry["name"] for entry in entries])

    def test_cases_are_selected_as_run_selects_them(self):
        names = self.tlsrig("list", "cases", *ONE[:-2]).stdout.split()
        self.assertEqual(names, ["stress.send_load.null~null.plain.epoll.fast_on"])

    def test_a_backend_may_be_on_either_side(self):
        cells = [name.split(".")[2] for name in
                 self.tlsrig("list", "cases", "--suite", "send_load", "--backend", "openssl").stdout.split()]
        every = [name.split(".")[2] for name in
                 self.tlsrig("list", "cases", "--suite", "send_load", "--matrix", "full").stdout.split()]
        self.assertEqual(cells, [cell for cell in every if "openssl" in cell.split("~")])

    def test_cases_for_ctest(self):
        result = self.tlsrig("list", "cases", *ONE[:-2], "--ctest", "/at/stress", "--output", "cases.cmake")
        self.assertEqual((result.returncode, result.stdout), (0, ""), result)
        with open(os.path.join(self.at, "cases.cmake"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("add_test([==[stress.send_load.null~null.plain.epoll.fast_on]==] [==[/at/stress]==] "
                      "[==[--gtest_filter=send_load.null~null.plain.epoll.fast_on]==])\n", text)
        self.assertIn("LABELS [==[stress;full;subject:house;world:loopback;backend:null;smoke]==]", text)

    def test_a_named_row_is_a_label_in_the_preset_that_it_names(self):
        with open(MATRIX, encoding="utf-8") as file:
            rows = json.load(file)["rows"]
        lines = self.tlsrig("list", "cases", "--matrix", "quick", "--ctest", "/at/stress").stdout.splitlines()
        labels = dict(re.search(r"\(\[==\[(\S+)\]==\] .* LABELS \[==\[(\S+)\]==\]", line).groups()
                      for line in lines if line.startswith("set_tests_properties"))
        for row in rows:
            narrowed = ["--client", row["client"], "--server", row["server"], "--poller", row["poller"],
                        "--fast-track", row["fast_track"]]
            members = set(self.tlsrig("list", "cases", *narrowed).stdout.split())
            self.assertTrue(members, row)
            labelled = {name for name, words in labels.items() if row["name"] in words.split(";")}
            self.assertEqual(labelled, members if (row["preset"], SANITIZER) == ("asan", "address") else set(), row)

    def test_output_that_cannot_be_written(self):
        self.refused(3, "cannot write no/cases.cmake", "list", "cases", "--output", "no/cases.cmake")

    def test_doctor(self):
        result = self.tlsrig("doctor", "--json")
        findings = [json.loads(line) for line in result.stdout.splitlines()]
        missing = [f for f in findings if f["state"] == "missing"]
        self.assertEqual(result.returncode, 3 if missing else 0, result)
        self.assertIn(("subject", "house", "ok"), [(f["area"], f["name"], f["state"]) for f in findings])
        for finding in findings:
            self.assertTrue(finding["sentence"], finding)

    def test_help_tells_nothing_that_does_not_work(self):
        for verb in ("run", "list", "replay", "shrink", "doctor", "report", "probe"):
            result = self.tlsrig(verb, "--help")
            self.assertEqual(result.returncode, 0, result)
            self.assertIn(f"Usage: tlsrig {verb} [OPTIONS]", result.stdout)
        self.assertRegex(self.tlsrig("--version").stdout, r"\Atlsrig \d+\.\d+\.\d+\n\Z")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
