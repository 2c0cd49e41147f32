"""Reads a sample report with the XML and HTML readers of Python's library, and demands that all is in its place."""

import html.parser
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

VOID = {"meta", "br"}
GREEN = {"pass", "skip"}
HOSTILE = "<b>&amp;\"quoted\" 'single' ]]> </script> {{reason}} \\x01\\x1b[31m\\x7f\\x0d\ufffd"


def demand(condition, sentence):
    if not condition:
        sys.exit("check_readers: " + sentence)


class Page(html.parser.HTMLParser):
    """Page demands that every tag is closed in order, and collects what the checks need."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.text, self.counts = [], [], [], [], {}

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        demand(tag not in ("script", "link", "img", "iframe", "object"), f"a <{tag}> in the page")
        for name, value in attributes.items():
            demand(not name.startswith("on"), f"an event handler {name} in the page")
            if name in ("href", "src"):
                demand(value.startswith("#"), f"the page refers to {value}")
                self.links.append(value[1:])

    def handle_endtag(self, tag):
        demand(self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def check_junit(text, verdicts):
    root = xml.etree.ElementTree.fromstring(text)
    cases = root.findall("./testsuite/testcase")
    demand(len(cases) == len(verdicts), f"{len(cases)} testcases for {len(verdicts)} verdicts")
    names = {(case.get("classname"), case.get("name")) for case in cases}
    demand(len(names) == len(cases), "two testcases with one name")
    red = [v for v in verdicts if v["verdict"] not in GREEN]
    skipped = [v for v in verdicts if v["verdict"] == "skip"]
    demand(len(root.findall(".//failure")) == len(red) == int(root.get("failures")), "failures do not add up")
    demand(len(root.findall(".//skipped")) == len(skipped) == int(root.get("skipped")), "skips do not add up")
    for suite in root.findall("testsuite"):
        demand(int(suite.get("tests")) == len(suite.findall("testcase")), "a suite's tests do not add up")
        demand(int(suite.get("failures")) == len(suite.findall(".//failure")), "a suite's failures do not add up")
    lines = "\n".join(out.text for out in root.iter("system-out"))
    for verdict in red:
        demand(not verdict["repro"] or verdict["repro"] in lines, f"no repro line for {verdict['cell']}")
    failures = "\n".join(failure.text or "" for failure in root.iter("failure"))
    demand(HOSTILE in failures,
           "the hostile text does not read back from junit.xml")


def check_html(text, verdicts):
    page = Page()
    page.feed(text)
    page.close()
    demand(not page.open, f"{page.open} are never closed")
    demand(len(set(page.ids)) == len(page.ids), "two elements with one id")
    demand(set(page.links) <= set(page.ids), f"links to nowhere: {set(page.links) - set(page.ids)}")
    demand(all(f"case-{i + 1}" in page.ids for i in range(len(verdicts))), "a verdict without a place in the page")
    demand(not re.search(r"url\(|@import|https?:", text), "the page refers to something from elsewhere")
    shown = "".join(page.text)
    for verdict in verdicts:
        demand(verdict["cell"] in shown, f"{verdict['cell']} is not in the page")
        demand(verdict["repro"] in shown, f"the repro line of {verdict['cell']} is not in the page")
        for used in verdict["used"].values():
            demand(used in shown, f"{used} is not in the page")
    demand(HOSTILE in shown,
           "the hostile text does not read back from index.html")
    red = sum(v["verdict"] not in GREEN for v in verdicts)
    demand(page.counts["article"] == red, "not one card for each verdict that is not green")


def main():
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "report"
        subprocess.run([sys.argv[1], str(target)], check=True)
        demand(sorted(p.name for p in pathlib.Path(folder).iterdir()) == ["report"], "something was left beside it")
        verdicts = [json.loads(line) for line in (target / "verdicts.jsonl").read_text("utf-8").splitlines()]
        kinds = {v["verdict"] for v in verdicts}
        demand(kinds == {"pass", "fail", "hang", "vacuous", "skip"}, f"the sample has only {kinds}")
        check_junit((target / "junit.xml").read_bytes(), verdicts)
        check_html((target / "index.html").read_text("utf-8"), verdicts)


main()
