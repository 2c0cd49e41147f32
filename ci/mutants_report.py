"""reports/mutants.json: what came of each mutant, and the score."""

import json
import os

REPORT = "reports/mutants.json"


def read(path):
    if not os.path.exists(path):
        return {"mutants": [], "clean": None}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, report):
    report["summary"] = summary(report["mutants"])
    text = json.dumps(report, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def add(path, record):
    """Puts the record in the place of an earlier one of the same patch."""
    report = read(path)
    for kill in (record.get("first"), record.get("named")):
        if kill and kill.get("scenario"):
            kill["scenario"] = os.path.basename(kill["scenario"])
    report["mutants"] = sorted([r for r in report["mutants"] if r["patch"] != record["patch"]] + [record],
                               key=lambda r: r["patch"])
    write(path, report)


def complete(path, blanks):
    """Puts in what has no record yet, so that the score is that of the whole zoo."""
    report = read(path)
    known = {record["patch"] for record in report["mutants"]}
    report["mutants"] = sorted(report["mutants"] + [dict(blank, outcome="not run", why="it was not selected")
                                                    for blank in blanks if blank["patch"] not in known],
                               key=lambda r: r["patch"])
    write(path, report)


def add_clean(path, clean):
    report = read(path)
    report["clean"] = clean
    write(path, report)


def add_generic(path, generic):
    report = read(path)
    report["generic"] = generic
    write(path, report)


def faults(root, patches):
    """Where reports/mutants.json and the README say other than the zoo is, as (path, sentence)."""
    path = os.path.join(root, REPORT)
    if not os.path.exists(path):
        return
    records = read(path)["mutants"]
    for gone in sorted({record["patch"] for record in records} - set(patches)):
        yield REPORT, f"there is no mutant {gone} any more; take its record out."
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        if score(records) not in " ".join(file.read().split()):
            yield "README.md", f"the score of {REPORT} is: {score(records)}"


def quantile(values, share):
    """The value that the share of all does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else None


def summary(records):
    """A mutant of several patches is killed if each is; its time is that of the slowest."""
    mutants = {}
    for record in records:
        mutants.setdefault(record["mutant"], []).append(record)
    killed = {m: rs for m, rs in mutants.items() if all(r["outcome"] == "killed" for r in rs)}
    named = [m for m, rs in killed.items() if all(r["named"] for r in rs)]
    not_run = {m for m, rs in mutants.items() if any(r["outcome"] in ("not run", "not built") for r in rs)}
    times = [max(r["first"]["cpu_seconds"] for r in rs) for rs in killed.values()]
    crashes = [m for m, rs in killed.items() if any(r["first"]["by"] == ["crash"] and not r["named"] for r in rs)]
    return {"mutants": len(mutants), "patches": len(records), "killed": len(killed), "by_named_law": len(named),
            "crash_alone": len(crashes), "survived": sorted(set(mutants) - set(killed) - not_run),
            "not_run": sorted(not_run),
            "cpu_seconds_median": quantile(times, 50), "cpu_seconds_95": quantile(times, 95)}


def score(records):
    found = summary(records)
    text = f"{found['killed']} of {found['mutants']} mutants killed, " \
           f"{found['by_named_law']} by a law that the header names"
    if found["not_run"]:
        text += f"; {len(found['not_run'])} were not run"
    if found["killed"]:
        text += f"; CPU time to the first report: median {found['cpu_seconds_median']:.1f} s, " \
                f"95 % within {found['cpu_seconds_95']:.1f} s"
    return text
