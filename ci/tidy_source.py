"""What ci/tidy knows of a C++ file without a compiler: code without comments and strings, declarations, functions."""

import re
from dataclasses import dataclass, field

RAW_STRING = re.compile(r'R"([^()\\\s]{0,16})\(')


@dataclass
class Declaration:
    line: int  # counts from 1
    names: list
    text: str
    has_body: bool


@dataclass
class Function:
    line: int
    end: int
    name: str


@dataclass
class Source:
    """Source is one file: `code` has the same lines as `text`, with comments and the insides of strings blanked."""

    text: str
    code: str = ""
    comments: dict = field(default_factory=dict)  # line -> text of the comment on it
    declarations: list = field(default_factory=list)  # at namespace scope
    functions: list = field(default_factory=list)

    def __post_init__(self):
        self._strip()
        self.lines = self.text.split("\n")
        self.code_lines = self.code.split("\n")
        Walker(self).walk()

    def _strip(self):
        text, out, at, line = self.text, [], 0, 1

        def blank(piece, comment):
            nonlocal line
            for index, part in enumerate(piece.split("\n")):
                if index:
                    out.append("\n")
                    line += 1
                out.append(" " * len(part))
                if comment:
                    self.comments[line] = self.comments.get(line, "") + part

        while at < len(text):
            two = text[at : at + 2]
            raw = RAW_STRING.match(text, at) if text[at] == "R" else None
            if two == "//":
                end = text.find("\n", at)
                end = len(text) if end < 0 else end
                blank(text[at:end], True)
            elif two == "/*":
                end = text.find("*/", at)
                end = len(text) if end < 0 else end + 2
                blank(text[at:end], True)
            elif raw and not (at and (text[at - 1].isalnum() or text[at - 1] == "_")):
                closing = ")" + raw.group(1) + '"'
                end = text.find(closing, raw.end())
                end = len(text) if end < 0 else end + len(closing)
                blank(text[at:end], False)
            elif text[at] == '"' or (text[at] == "'" and not (at and text[at - 1].isalnum())):
                end = at + 1
                while end < len(text) and text[end] not in (text[at], "\n"):
                    end += 2 if text[end] == "\\" else 1
                end = min(end + 1, len(text))
                out.append(text[at])
                blank(text[at + 1 : end - 1], False)
                out.append(text[end - 1])
                line += text[end - 1] == "\n"
            else:
                out.append(text[at])
                line += text[at] == "\n"
                end = at + 1
            at = end
        self.code = "".join(out)


NAMESPACE = re.compile(r'^\s*((inline\s+)?namespace\b|extern\s+"\s*")')
TYPE = re.compile(r"^\s*(template\s*<.*>\s*)?(typedef\s+)?(class|struct|union|enum)\b[^()=]*$", re.S)
INIT_LIST = re.compile(r"\)\s*(noexcept\b[^:]*)?:[^:]")
ATTRIBUTE = re.compile(r"\[\[.*?\]\]|\bRIG_[A-Z_]+\s*\((?:[^()]|\([^()]*\))*\)|\balignas\s*\([^()]*\)")


def is_function(head):
    if TYPE.match(ATTRIBUTE.sub(" ", head)) or "(" not in head:
        return False
    return not re.search(r"(^|[^=!<>])=\s*$", head)


class Walker:
    """Walker follows the braces. Only what stands in namespaces and classes is looked at; bodies are skipped."""

    def __init__(self, source):
        self.source = source
        self.stack = []  # (kind, head, head_line); kind: namespace, class, function, init, other
        self.head = ""
        self.head_line = None
        self.parens = 0
        self.tail = False  # between the brace that ends a type or a value and its semicolon

    def walk(self):
        line, continued = 1, False
        for text in self.source.code_lines:
            if continued or text.lstrip().startswith("#"):
                continued = text.rstrip().endswith("\\")
            else:
                for char in text:
                    self.take(char, line)
                self.take("\n", line)
            line += 1

    def visible(self):
        return all(kind in ("namespace", "class") for kind, _, _ in self.stack)

    def at_namespace_scope(self):
        return all(kind == "namespace" for kind, _, _ in self.stack)

    def take(self, char, line):
        if char == "{":
            self.open(line)
        elif char == "}":
            self.close(line)
        elif not self.visible():
            return
        elif char == ";" and self.parens == 0:
            self.declare(False)
            self.reset()
        else:
            self.parens += (char == "(") - (char == ")")
            if self.head_line is None and not char.isspace():
                self.head_line = line
            self.head += char

    def reset(self):
        self.head, self.head_line, self.parens, self.tail = "", None, 0, False

    def open(self, line):
        if not self.visible():
            self.stack.append(("other", "", line))
            return
        head = self.head.rstrip()
        if self.parens or self.tail or (INIT_LIST.search(head) and re.search(r"[\w>]$", head)):
            kind = "init"
        elif NAMESPACE.match(head):
            kind = "namespace"
        else:
            self.declare(True)
            plain = ATTRIBUTE.sub(" ", head)
            kind = "function" if is_function(head) else "class" if TYPE.match(plain) else "other"
        self.stack.append((kind, head, self.head_line or line))
        if kind != "init":
            self.head, self.head_line = "", None

    def close(self, line):
        if not self.stack:
            return
        kind, head, head_line = self.stack.pop()
        if not self.visible() or kind == "init":
            return
        if kind == "function":
            name = re.search(r"([\w:~]+)\s*\(", ATTRIBUTE.sub(" ", head))
            self.source.functions.append(Function(head_line, line, name.group(1) if name else "?"))
        self.reset()
        self.tail = kind in ("class", "other")

    def declare(self, has_body):
        if not self.tail and self.head.strip() and self.at_namespace_scope():
            names = declared_names(self.head)
            self.source.declarations.append(Declaration(self.head_line, names, self.head.strip(), has_body))


def without_angles(text):
    """without_angles drops template parameters and arguments; operators and comparisons stay."""
    kept, depth, at = "", 0, 0
    while at < len(text):
        if text[at] == "<" and (depth or re.search(r"\w\s*$", kept)) and not re.search(r"operator\s*$", kept):
            depth += 1
        elif text[at] == ">" and depth and text[at - 1] != "-":
            depth -= 1
        elif not depth:
            kept += text[at]
        at += 1
    return kept


def declared_names(head):
    """declared_names is what a statement at namespace scope declares; empty for what needs no comment of its own."""
    text = ATTRIBUTE.sub(" ", head).strip()
    if re.match(r"(friend|using namespace|static_assert|extern template)\b", text):
        return []
    text = without_angles(text)
    text = re.sub(r"^(template\s*)+", "", text)
    match = re.match(r"(typedef\s+)?(class|struct|union|enum(\s+class)?)\s+(\w+)(\s*final)?\s*(:[^:].*)?$", text, re.S)
    if match:
        return [match.group(4)]
    if re.match(r"typedef\b", text):
        return re.findall(r"(\w+)\s*$", text)
    match = re.match(r"using\s+(\w+)\s*=", text)
    if match:
        return [match.group(1)]
    match = re.search(r"(operator\s*[^\s(]+|[\w:~]+)\s*\(", text)
    before_value = re.split(r"(?<![=!<>])=(?!=)", text)[0]
    if match and match.start() < len(before_value):
        name = match.group(1)
        return [] if "::" in name else [re.sub(r"\s", "", name)]
    match = re.search(r"(\w+)\s*(\[[^\]]*\]\s*)*$", before_value.strip())
    return [match.group(1)] if match else []


def forward_only(declaration):
    one = re.match(r"(typedef\s+)?(class|struct|union|enum(\s+class)?)\s+\w+(\s+\w+)?$", declaration.text)
    return one is not None and not declaration.has_body
