#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "harness/cli/verbs.h"
#include "harness/oracle/violation.h"
#include "harness/probe/probe.h"

namespace rig::cli {
namespace {

// Finding is a line of the probe's report.
struct Finding {
  std::string law;
  std::string where;
  std::string message;
};

struct Findings {
  std::vector<Finding> violations;
  std::vector<std::string> libraries;  // that were used
};

// ReportFile is where the probe writes, for as long as the command runs.
class ReportFile {
 public:
  ReportFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tlsrig-probe-XXXXXX").string();
    if (const int file = ::mkstemp(pattern.data()); file >= 0) {
      ::close(file);
      path_ = pattern;
    }
  }
  ~ReportFile() {
    if (!path_.empty()) {
      ::unlink(path_.c_str());
    }
  }
  ReportFile(const ReportFile&) = delete;
  ReportFile& operator=(const ReportFile&) = delete;

  const std::string& path() const { return path_; }

  Findings read() const {
    Findings findings;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
      std::vector<std::string> fields;
      for (std::size_t from = 0; from <= line.size() && fields.size() < 4;) {
        const std::size_t to = fields.size() == 3 ? line.size() : std::min(line.find('\t', from), line.size());
        fields.push_back(line.substr(from, to - from));
        from = to + 1;
      }
      if (fields.size() == 4 && fields[0] == "violation") {
        findings.violations.push_back({fields[1], fields[2], fields[3]});
      } else if (fields.size() == 2 && fields[0] == "library") {
        findings.libraries.push_back(fields[1]);
      }
    }
    return findings;
  }

 private:
  std::string path_;
};

// The probe lies beside the command.
std::string probe_library() {
  std::error_code error;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path library = own.parent_path() / "libtlsrig_probe.so";
  return !error && std::filesystem::exists(library, error) ? library.string() : std::string();
}

// A program of a special right ignores what is preloaded, and a static one has no loader; both show as "no door".
[[noreturn]] void become(const ProbeCommand& command, const std::string& library, const std::string& report) {
  const char* const others = std::getenv("LD_PRELOAD");
  const std::string preload = others == nullptr || *others == '\0' ? library : library + ":" + others;
  ::setenv("LD_PRELOAD", preload.c_str(), 1);
  ::setenv(probe::report_variable, report.c_str(), 1);
  if (command.poison) {
    ::setenv(probe::poison_variable, "1", 1);
  }
  if (command.json) {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGQUIT, SIG_DFL);
  std::vector<char*> arguments;
  for (const std::string& argument : command.program) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  std::fprintf(stderr, "tlsrig: '%s' cannot be started: %s\n", arguments[0], std::strerror(errno));
  ::_exit(127);
}

void print(const Findings& findings, bool json) {
  for (const Finding& finding : findings.violations) {
    if (json) {
      const nlohmann::json line{{"law", finding.law}, {"where", finding.where}, {"message", finding.message}};
      std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
      continue;
    }
    const auto law = law_from_name(finding.law);
    const std::string_view sentence = law.has_value() ? law_sentence(*law) : "";
    std::fprintf(stderr, "tlsrig probe: %s (%.*s)\n  %s: %s\n", finding.law.c_str(), static_cast<int>(sentence.size()),
                 sentence.data(), finding.where.c_str(), finding.message.c_str());
  }
}

int conclude(const Findings& findings, const ProbeCommand& command, int status) {
  print(findings, command.json);
  const int own = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  const char* const program = command.program.front().c_str();
  if (!findings.violations.empty()) {
    std::fprintf(stderr, "tlsrig probe: %zu violations; %s ended with %d\n", findings.violations.size(), program, own);
    return exit_not_green;
  }
  if (findings.libraries.empty()) {
    std::fprintf(stderr,
                 "tlsrig probe: no call of OpenSSL, GnuTLS or mbedTLS came through a door, so nothing was tested; %s "
                 "ended with %d. A TLS library that is linked statically has no door.\n",
                 program, own);
    return exit_lacking;
  }
  std::string libraries;
  for (const std::string& library : findings.libraries) {
    if (libraries.find(library) == std::string::npos) {
      libraries += (libraries.empty() ? "" : " and ") + library;
    }
  }
  std::fprintf(stderr, "tlsrig probe: no violation in the use of %s; %s ended with %d\n", libraries.c_str(), program,
               own);
  return own;
}

}  // namespace

int probe(const ProbeCommand& command) {
  const std::string library = probe_library();
  if (library.empty()) {
    return refuse({exit_lacking, "libtlsrig_probe.so is missing; it belongs beside the tlsrig command"});
  }
  const ReportFile report;
  if (report.path().empty()) {
    return refuse({exit_lacking, "no temporary file can be made; set TMPDIR to a folder that can be written"});
  }
  // As system() does: a Ctrl-C is for the program, and what was found is told afterwards.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  const pid_t child = ::fork();
  if (child == 0) {
    become(command, library, report.path());
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) {
    return refuse({exit_lacking, "no process can be made: " + std::string(std::strerror(errno))});
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    const Findings findings = report.read();
    return findings.libraries.empty() ? static_cast<int>(exit_usage) : conclude(findings, command, status);
  }
  return conclude(report.read(), command, status);
}

}  // namespace rig::cli
