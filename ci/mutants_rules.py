"""Small changes of a C++ file, each behind a switch that is read at run time: where they can be made, and how."""

import random
import re
from dataclasses import dataclass, field

from tidy_source import Source

# What the changed files include. Whichever switches a process evaluates, it notes in a file that it shares with
# ci/mutants: a change that no run came to is another finding than one that no law minds.
HEADER = """#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <concepts>
#include <cstdlib>

#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wsubobject-linkage"  // it takes a file under another name for a header
#endif

namespace rig {

struct MutantSwitch {
  int planted = 0;
  unsigned char* met = nullptr;
};

inline MutantSwitch read_mutant_switch() noexcept {
  MutantSwitch found;
  const char* const number = std::getenv("RIG_MUTANT");
  found.planted = number != nullptr ? std::atoi(number) : 0;
  const char* const path = std::getenv("RIG_MUTANT_MET");
  const int file = path != nullptr ? ::open(path, O_RDWR) : -1;
  if (file >= 0) {
    void* const map = ::mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    found.met = map != MAP_FAILED ? static_cast<unsigned char*>(map) : nullptr;
    ::close(file);
  }
  return found;
}

inline const MutantSwitch mutant_switch = read_mutant_switch();

inline bool mutant(int number) noexcept {
  if (mutant_switch.met != nullptr) {
    mutant_switch.met[number] = 1;
  }
  return number == mutant_switch.planted;
}

template <std::integral T>
  requires(!std::same_as<T, bool>)
T mutant_off(int number, int by, T value) noexcept {
  return mutant(number) ? static_cast<T>(value + static_cast<T>(by)) : value;
}

template <typename T>
T mutant_zero(int number, T value) noexcept {
  return mutant(number) ? static_cast<T>(value == static_cast<T>(0) ? 1 : 0) : value;
}

}  // namespace rig
"""
HEADER_PATH = "harness/base/mutant.h"
SWITCHES_MAX = 65536

OPERATORS = ("negated condition", "removed statement", "off by one", "swapped constant")


@dataclass
class Change:
    """Change is one place of one file; before and after are what is written around it, with {n} for its number."""

    path: str
    operator: str
    start: int
    end: int
    before: str
    after: str
    text: str = ""  # as it was
    line: int = 0
    last_line: int = 0
    number: int = field(default=0, compare=False)


def closing(code, at):
    """The place of the bracket that closes the one at `at`, or None."""
    depth = 0
    for place in range(at, len(code)):
        depth += (code[place] in "([{") - (code[place] in ")]}")
        if depth == 0:
            return place
    return None


def split_at(code, start, end, words):
    """Cuts [start, end) at each of the words that stands outside of brackets."""
    pieces, depth, at, begin = [], 0, start, start
    while at < end:
        depth += (code[at] in "([{") - (code[at] in ")]}")
        word = next((w for w in words if depth == 0 and code.startswith(w, at)), None)
        if word:
            pieces.append((begin, at))
            at += len(word)
            begin = at
        else:
            at += 1
    return [*pieces, (begin, end)]


def trimmed(code, start, end):
    while start < end and code[start].isspace():
        start += 1
    while end > start and code[end - 1].isspace():
        end -= 1
    return start, end


NEGATION = ("(::rig::mutant({n}) != static_cast<bool>(", "))")
ASSIGNS = re.compile(r"(?<![=!<>+\-*/|&^])=(?!=)")


def outermost(code, start, end):
    """What stands outside of brackets."""
    kept, depth = "", 0
    for char in code[start:end]:
        depth -= char in ")]}"
        kept += char if depth == 0 else " "
        depth += char in "([{"
    return kept


def truths(code, start, end):
    """An expression that is true or false, and each part of it between && and ||; a declaration is none."""
    start, end = trimmed(code, start, end)
    if start >= end or ASSIGNS.search(outermost(code, start, end)):
        return
    yield start, end
    parts = split_at(code, start, end, ("&&", "||"))
    if len(parts) > 1:
        for a, b in parts:
            yield trimmed(code, a, b)


def negations(code):
    for match in re.finditer(r"\b(?:if|while) \(", code):
        end = closing(code, match.end() - 1)
        if end is not None:
            yield from truths(code, *split_at(code, match.end(), end, (";",))[-1])
    for match in re.finditer(r"\breturn ([^;{}]*);|\bbool \w+ = ([^;{}]*);", code):
        span = match.span(1 if match.group(1) is not None else 2)
        if re.search(r" (?:&&|\|\||[=!]=|[<>]=?) |^!", code[slice(*span)]) and "?" not in code[slice(*span)]:
            yield from truths(code, *span)


EXPRESSION = re.compile(
    r"^(?:(?:\+\+|--|\*)[\w(]|static_cast<void>\(|[A-Za-z_]\w*(?:(?:::|\.|->)~?\w+|\[[^\]\n]*\]|\([^;{}]*?\))*"
    r"(?:\(| (?:[-+|&*/]|<<|>>)?= |\+\+;|--;))")
JUMP = re.compile(r"^(?:return\b(?! \w+\{)|break;|continue;)")
NO_STATEMENT = re.compile(r"^(?:RIG_|static_assert|if\b|for\b|while\b|switch\b|case\b|catch\b|sizeof\b|else\b|do\b)")


def statements(code):
    """Statements that are an expression or a jump; a declaration is none, since others need it."""
    for match in re.finditer(r"(?<=[;{}:])\s*\n[ \t]+(?=[\w+*-])", code):
        start = match.end()
        head = code[start:start + 400]
        if NO_STATEMENT.match(head) or not (EXPRESSION.match(head) or JUMP.match(head)):
            continue
        depth, end = 0, start
        while end < len(code) and not (depth == 0 and code[end] == ";") and depth >= 0:
            depth += (code[end] in "([{") - (code[end] in ")]}")
            end += 1
        if depth == 0 and end < len(code):
            yield start, end + 1


OPERAND = r"[A-Za-z_](?:\w|::|\.|->)*(?:\([\w.]*\))?(?:\.\w+\(\))?|\d[\d']*u?"


def offs(code):
    for match in re.finditer(rf" (?:<=|>=|<|>) ({OPERAND})(?=[ );,&|?])", code):
        yield (*match.span(1), 1)
    for match in re.finditer(r" [+-] (\d[\d']*u?)(?=[ );,\]])", code):
        yield (*match.span(1), -1)
    for match in re.finditer(rf"\b(?:first|last|subspan|resize|reserve|consume)\(({OPERAND})\)", code):
        yield (*match.span(1), 1)


def constants(code, kinds):
    for match in re.finditer(r"(?<![\w:.])((?:\w+::)*([A-Z]\w+))::([a-z]\w*)\b(?!\s*[({:<])", code):
        words = kinds.get(match.group(2), [])
        if match.group(3) in words and len(words) > 1:
            other = words[(words.index(match.group(3)) + 1) % len(words)]
            yield (*match.span(), "(::rig::mutant({n}) ? " + f"{match.group(1)}::{other} : ", ")")
    for match in re.finditer(r"(?<![\w])(?:true|false)(?!\w)", code):
        yield (*match.span(), "(::rig::mutant({n}) != ", ")")
    for match in re.finditer(r"(?<![\w:])(?!RIG_)[A-Z][A-Z0-9]*_[A-Z0-9_]+\b(?!\s*\()", code):
        yield (*match.span(), "::rig::mutant_zero({n}, ", ")")
    for match in re.finditer(r"(?<=[(\s])(\d[\d']*)(?=[);, ])", code):
        by = 1 if match.group(1) == "0" else -int(match.group(1).replace("'", ""))
        yield (*match.span(), "::rig::mutant_off({n}, " + f"{by}, ", ")")


def all_changes(code, kinds):
    for start, end in negations(code):
        yield "negated condition", start, end, *NEGATION
    for start, end in statements(code):
        yield "removed statement", start, end, "if (!::rig::mutant({n})) ", ""
    for start, end, by in offs(code):
        yield "off by one", start, end, "::rig::mutant_off({n}, " + f"{by}, ", ")"
    for start, end, before, after in constants(code, kinds):
        yield "swapped constant", start, end, before, after


# Behind a last return there is nothing that the function could answer.
LAST_RETURN = re.compile(r"return\s[^;]*;[\s}]*")
LEFT_OUT = re.compile(r"^\s*(?:case\b|default:|#)|\bconstexpr\b|\bstatic_assert\b|\bRIG_CHECK\b|\bnoexcept\(")


def changes_of(path, text, kinds):
    """Each change that can be made within the functions of a file."""
    source = Source(text)
    inside = [False] * (len(source.lines) + 2)
    begins = [0, 0]  # where each line begins, counted from 1
    for code_line in source.code.split("\n"):
        begins.append(begins[-1] + len(code_line) + 1)
    ends = {}  # where the function of a line ends
    for function in source.functions:
        for line in range(function.line + 1, function.end + 1):
            inside[line] = True
            ends[line] = begins[function.end + 1]
    seen = set()
    for operator, start, end, before, after in all_changes(source.code, kinds):
        line = source.code.count("\n", 0, start) + 1
        last_line = source.code.count("\n", 0, end) + 1
        if start >= end or not inside[line] or LEFT_OUT.search(source.code_lines[line - 1]):
            continue
        if (start, end, operator) in seen or (operator == "removed statement" and
                                              LAST_RETURN.fullmatch(source.code[start:ends[line]])):
            continue
        seen.add((start, end, operator))
        yield Change(path, operator, start, end, before, after, " ".join(text[start:end].split()), line, last_line)


def enumerations(texts):
    """The words of each enumeration; those of one name that mean two things are left out."""
    kinds, twice = {}, set()
    for text in texts:
        code = Source(text).code
        for match in re.finditer(r"\benum class (\w+)[^{};]*\{([^}]*)\}", code):
            words = [word.split("=")[0].strip() for word in match.group(2).split(",")]
            words = [word for word in words if re.fullmatch(r"[a-z]\w*", word)]
            if kinds.setdefault(match.group(1), words) != words:
                twice.add(match.group(1))
    return {name: words for name, words in kinds.items() if name not in twice}


def drawing(changes, seed):
    """All changes in an order in which files and operators take turns."""
    generator = random.Random(seed)
    groups = {}
    for change in changes:
        groups.setdefault((change.path, change.operator), []).append(change)
    order = sorted(groups)
    generator.shuffle(order)
    for key in order:
        generator.shuffle(groups[key])
    while order:
        for key in order:
            yield groups[key].pop()
        order = [key for key in order if groups[key]]


def crosses(one, other):
    """Whether two changes overlap without one holding the other."""
    return one.path == other.path and (one.start < other.start < one.end < other.end or
                                       other.start < one.start < other.end < one.end or
                                       (one.start, one.end) == (other.start, other.end))


def woven(path, text, changes):
    """The text with all of these changes behind their switches, line by line where it was."""
    events = []
    for change in changes:
        number = str(change.number)
        events.append((change.start, 1, -change.end, change.before.replace("{n}", number)))
        events.append((change.end, 0, -change.start, change.after))
    out, at = [f'#include "{HEADER_PATH}"\n#line 1 "{path}"\n'], 0
    for place, _, _, piece in sorted(events):
        out += [text[at:place], piece]
        at = place
    return "".join([*out, text[at:]])
