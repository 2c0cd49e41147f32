"""The self-test of ci/tidy: a tree in order passes in silence; each rule reports each violation planted in it."""

import os
import shutil
import subprocess
import sys
import tempfile

STYLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".clang-format")

# A small tree in order. It holds what a rule could take for a violation although it is none.
CLEAN = {
    "CMakeLists.txt": "add_subdirectory(harness)\n",
    "README.md": "# A tree\n",
    "harness/base/CMakeLists.txt": "rig_library(rig_base thing.cc)\nrig_test(unit.thing tests/thing_test.cc)\n",
    "harness/base/thing.h": """// Things, and what is done to them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

// RIG_ATTRIBUTE stands for an attribute.
#define RIG_ATTRIBUTE(x)

namespace rig {

class Later;

// Thing is one. Its text may hold "{ braces" and // slashes.
class RIG_ATTRIBUTE(capability("thing")) Thing {
 public:
  explicit Thing(int count) noexcept : count_{count} {}

  int count() const { return count_; }

 private:
  int count_ = 0;
};

// Kind is which.
enum class Kind : std::uint8_t { one, other };

// things_max bounds them.
inline constexpr int things_max{7};

// to_text and from_text are inverse.
std::string to_text(const Thing& thing = Thing{1});
Thing from_text(const std::string& text);

// Each of these does one thing.
void first();
void second();
void third();

// each visits all.
void each(const std::function<void(int)>& visit, const std::map<int, int>& things = {});

// larger is the larger of two.
template <class T>
T larger(T a, T b) {
  return a < b ? b : a;
}

}  // namespace rig
""",
    "harness/base/thing.cc": """#include "harness/base/thing.h"

namespace rig {

std::string to_text(const Thing& thing) {
  return R"(a "raw" { string)" + std::to_string(thing.count()) + '{' + "\\"";
}

}  // namespace rig
""",
    "harness/base/tests/thing_test.cc": """#include "harness/base/thing.h"

namespace rig {
namespace {

// The word sleep_for( in a comment waits for nothing; a name like mktemp(".XXXXXX") is no note.
const char* name() {
  return "usleep(1)";
}

}  // namespace
}  // namespace rig
""",
    # A guest comes with its own TLS library; where sleeping is what is tested, a test may sleep.
    "harness/lab/CMakeLists.txt": "rig_library(rig_lab guests/echo.c sync/tests/time_test.cc)\n",
    "harness/lab/guests/echo.c": "#include <openssl/ssl.h>\n",
    "harness/lab/sync/tests/time_test.cc": "namespace {\n\nint f() {\n  return usleep(1);\n}\n\n}  // namespace\n",
    "harness/socket/CMakeLists.txt": "rig_library(rig_socket socket.cc)\n",
    "harness/socket/posix_handle.h": """// The one conversion.
#pragma once

#include <cstdint>

namespace rig {

// Handle is a descriptor at full width.
struct Handle {
  std::uint64_t value() const { return 0; }
};

// posix_descriptor is the descriptor that `handle` names.
inline int posix_descriptor(Handle handle) {
  return static_cast<int>(handle.value());
}

}  // namespace rig
""",
    "harness/socket/socket.cc": """#include "harness/socket/posix_handle.h"

#include "harness/base/thing.h"

namespace rig {

std::uint64_t wide(Handle handle) {
  return static_cast<std::uint64_t>(handle.value());
}

}  // namespace rig
""",
    "suppressions/CMakeLists.txt": "suppression(gnutls_thing)\n",
    "suppressions/gnutls_thing.supp": """# tool: tsan
# function: gnutls_thing
# reason: it does so on purpose.
# link: https://gitlab.com/gnutls/gnutls/-/issues/1
# review: 2999-01-01
race:^gnutls_thing$
""",
    "harness/cli/CMakeLists.txt": "add_executable(tlsrig main.cc)\n",
    "harness/cli/main.cc": '#include "harness/base/thing.h"\n\nint main() {\n  return 0;\n}\n',
}

MAIN = CLEAN["harness/cli/main.cc"]
THING = CLEAN["harness/base/thing.h"]
THING_COMMENT = '// Thing is one. Its text may hold "{ braces" and // slashes.\n'
SUPPRESSION = CLEAN["suppressions/gnutls_thing.supp"]


def header(body):
    return "// A header.\n#pragma once\n\nnamespace rig {\n\n" + body + "\n}  // namespace rig\n"


def used(path, text):
    """A file at `path`, included by main.cc."""
    return {path: text, "harness/cli/main.cc": f'#include "{path}"\n\n' + MAIN}


def long_function(lines, opening):
    return opening + " {\n" + "  first();\n" * (lines - 2) + "}\n"


def fragment(old, new):
    return {"suppressions/gnutls_thing.supp": SUPPRESSION.replace(old, new)}


# rule, what is planted, and the files that change. Each must be reported by that rule.
PLANTED = [
    ("include-direction", "base sees socket", {"harness/base/thing.cc": '#include "harness/socket/posix_handle.h"\n'}),
    ("include-direction", "oracle sees socket", {"harness/oracle/a.cc": '#include "harness/socket/posix_handle.h"\n'}),
    ("include-direction", "a suite sees socket", {"stress/a.cc": '#include "harness/socket/posix_handle.h"\n'}),
    ("include-direction", "direct sees socket",
     {"harness/subjects/direct/a.cc": '#include "harness/socket/posix_handle.h"\n'}),
    ("include-direction", "lab sees engine", {"harness/lab/a.cc": '#include "harness/engine/engine.h"\n'}),
    ("include-direction", "scenario sees cli", {"harness/scenario/a.cc": '#include "harness/cli/cli.h"\n'}),
    ("include-direction", "a backend sees scenario", {"backends/a/a.cc": '#include "harness/scenario/scenario.h"\n'}),
    ("include-direction", "a backend sees another", {"backends/a/a.cc": '#include "backends/b/b.h"\n'}),
    ("include-direction", "not from the root", {"harness/base/thing.cc": '#include "thing.h"\n'}),
    ("tls-header", "OpenSSL in base", {"harness/base/thing.cc": "#include <openssl/ssl.h>\n"}),
    ("tls-header", "GnuTLS in a suite", {"stress/a.cc": "# include <gnutls/gnutls.h>\n"}),
    ("tls-header", "OpenSSL in the lab itself", {"harness/lab/thing.cc": "#include <openssl/ssl.h>\n"}),
    ("include-once", "CLI11 twice", {"harness/cli/a.cc": "#include <CLI/CLI.hpp>\n",
                                     "harness/cli/b.cc": "#include <CLI/CLI.hpp>\n"}),
    ("self-sufficient", "a type it does not include",
     used("harness/base/a.h", header("// f is one.\nstd::string f();\n"))),
    ("documented", "a function", {"harness/base/thing.h": THING.replace("// each visits all.\n", "")}),
    ("documented", "a class", {"harness/base/thing.h": THING.replace(THING_COMMENT, "")}),
    ("documented", "an enum", {"harness/base/thing.h": THING.replace("// Kind is which.\n", "")}),
    ("documented", "a constant", {"harness/base/thing.h": THING.replace("// things_max bounds them.\n", "")}),
    ("documented", "a template", {"harness/base/thing.h": THING.replace("// larger is the larger of two.\n", "")}),
    ("documented", "the wrong name", {"harness/base/thing.h": THING.replace("// each visits", "// every visits")}),
    ("documented", "two, neither named", {"harness/base/thing.h": THING.replace("// to_text and from_text are",
                                                                              "// Both are")}),
    ("documented", "the file", {"harness/base/thing.h": THING.replace("// Things, and what is done to them.\n", "")}),
    ("pragma-once", "none", {"harness/base/thing.h": THING.replace("#pragma once\n", "")}),
    ("line-length", "121 columns", {"harness/base/thing.cc": "//" + "x" * 119 + "\n"}),
    ("file-length", "601 lines", {"harness/base/tests/thing_test.cc": "\n" * 601}),
    ("function-length", "a function", {"harness/base/thing.cc": long_function(71, "int f(int a)")}),
    ("function-length", "a method",
     {"harness/base/thing.cc": "class C {\n" + long_function(71, "C(int a) : a_{a}, b_(1)") + "  int a_;\n};\n"}),
    ("function-length", "a test",
     {"harness/base/thing.cc": "namespace {\n" + long_function(71, "TEST(thing, works)") + "}\n"}),
    ("dead-file", "a source", {"harness/base/a.cc": "\n"}),
    ("dead-file", "a header", {"harness/base/a.h": header("// f is one.\nint f();\n")}),
    ("dead-file", "a fragment", {"suppressions/a.supp": SUPPRESSION}),
    ("handle-cast", "static_cast",
     {"harness/socket/socket.cc": "int f(H h) { return static_cast<int>(h.value()); }\n"}),
    ("handle-cast", "in a test",
     {"harness/socket/tests/t.cc": "int f(T t) { return static_cast<int>(t.h().value()); }\n"}),
    ("handle-cast", "the C cast",
     {"harness/socket/socket.cc": "int f(H h) { return (int)h.value(); }\n"}),
    ("handle-cast", "a functional cast",
     {"harness/socket/socket.cc": "int f(H handle) { return int(handle.value()); }\n"}),
    ("handle-cast", "silent narrowing",
     {"harness/socket/socket.cc": "int fd = handle.value();\n"}),
    ("handle-cast", "reinterpret_cast",
     {"harness/socket/socket.cc": "auto p = reinterpret_cast<void*>(h.value());\n"}),
    ("handle-cast", "to a SOCKET",
     {"harness/socket/socket.cc": "auto s = static_cast<SOCKET>(h.value());\n"}),
    ("mbedtls-net", "a call", {"backends/a/a.cc": "void f() { " + "mbedtls" + "_net_close(nullptr); }\n"}),
    ("mbedtls-net", "the header", {"backends/a/a.cc": "#include <mbedtls" + "/net_sockets.h>\n"}),
    ("format", "two blanks", {"harness/cli/main.cc": MAIN.replace("int main", "int  main")}),
    ("banned-word", "a note", {"harness/base/thing.cc": "// TO" + "DO: finish\n"}),
    ("banned-word", "a note in a script", {"ci/a": "# FIX" + "ME\n"}),
    ("banned-word", "a note in a guide", {"README.md": "X" + "XX\n"}),
    ("banned-word", "a test that sleeps", {"harness/base/tests/thing_test.cc": "void f() { usleep(1); }\n"}),
    ("banned-word", "a suite that sleeps", {"stress/a.cc": "void f() { std::this_thread::sleep_for(a); }\n"}),
    ("banned-word", "a test of the lab that sleeps", {"harness/lab/tests/a.cc": "void f() { usleep(1); }\n"}),
    ("banned-word", "a test that skips", {"harness/base/thing.cc": "void f() { GTEST" + "_SKIP(); }\n"}),
    ("banned-word", "a test switched off", {"harness/base/thing.cc": "TEST(a, DISABLED" + "_b) {}\n"}),
    ("banned-word", "retries", {"ci/a": "ctest --repeat until" + "-pass:3\n"}),
    ("suppression", "no link", fragment("# link: https://gitlab.com/gnutls/gnutls/-/issues/1\n", "")),
    ("suppression", "a link that is none", fragment("https://gitlab.com/gnutls/gnutls/-/issues/1", "see upstream")),
    ("suppression", "no reason", fragment("# reason: it does so on purpose.\n", "")),
    ("suppression", "an unknown tool", fragment("tool: tsan", "tool: valgrind")),
    ("suppression", "a review that is due", fragment("2999-01-01", "2001-01-01")),
    ("suppression", "a review at no date", fragment("2999-01-01", "soon")),
    ("suppression", "a whole library", fragment("race:^gnutls_thing$", "race:libgnutls.so")),
    ("suppression", "a wildcard", fragment("race:^gnutls_thing$", "race:gnutls_*")),
    ("suppression", "everything", fragment("race:^gnutls_thing$", "race:*")),
    ("suppression", "another function", fragment("race:^gnutls_thing$", "race:^gnutls_other$")),
    ("suppression", "two in one", fragment("race:^gnutls_thing$", "race:^gnutls_thing$\nrace:^gnutls_thing$")),
    ("suppression", "our own code", fragment("gnutls_thing", "rig_thing")),
    ("root-files", "a stray file", {"notes.txt": "\n"}),
]


def plant(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


def run(run_rules, rules, compiler):
    failures = 0
    with tempfile.TemporaryDirectory(prefix="tidy-canaries-") as scratch:
        clean = os.path.join(scratch, "clean")
        plant(clean, CLEAN)
        shutil.copy(STYLE, clean)
        for path, line, rule, sentence in run_rules(clean, compiler, None, None).findings:
            failures += 1
            print(f"FAILED: reported in a tree in order: {path}:{line}: {rule}: {sentence}")
        for number, (rule, what, files) in enumerate(PLANTED):
            root = os.path.join(scratch, str(number))
            shutil.copytree(clean, root)
            plant(root, files)
            found = run_rules(root, compiler, None, [rule]).findings
            if not [f for f in found if f[0] in files and f[2] == rule]:
                failures += 1
                print(f"FAILED: {rule} says nothing about: {what}")
            shutil.rmtree(root)
        failures += check_command_line(os.path.join(scratch, "clean"), compiler)
    for rule in sorted(set(rules) - {planted[0] for planted in PLANTED}):
        failures += 1
        print(f"FAILED: {rule} has no canary")
    print(f"ci/tidy --self-test: {len(PLANTED)} planted, {failures} failures")
    return 1 if failures else 0


def check_command_line(clean, compiler):
    """The exit code and the one-line form, as ctest and a person see them."""
    tidy = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy")
    command = [sys.executable, tidy, "--root", clean, "--compiler", compiler]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    plant(clean, {"notes.txt": "\n"})
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    absent = subprocess.run(command[:-1] + ["no-such-compiler"], capture_output=True, text=True, check=False)
    failures = 0
    for wrong, what in [
        (good.returncode != 0 or good.stdout, f"a tree in order exits with {good.returncode}: {good.stdout}"),
        (bad.returncode != 1 or not bad.stdout.startswith("notes.txt:1: root-files: "), f"a finding: {bad.stdout}"),
        (absent.returncode != 2 or "no-such-compiler is missing" not in absent.stderr, f"no compiler: {absent.stderr}"),
    ]:
        if wrong:
            failures += 1
            print(f"FAILED: {what}")
    return failures
