// How a report comes to its folder: all at once or not at all.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "reports/report.h"

namespace rig {
namespace {

namespace fs = std::filesystem;

constexpr const char* jsonl_name = "verdicts.jsonl";

// An Error keeps a short sentence only: of a long path its end is the telling part.
std::string shown(const fs::path& path) {
  constexpr std::size_t max = 100;
  const std::string text = path.string();
  return "'" + (text.size() > max ? "..." + text.substr(text.size() - max) : text) + "'";
}

std::unexpected<Error> refuse(const std::string& what, const fs::path& path, const std::error_code& why) {
  const Error classified = system_error("", why.value());
  return std::unexpected(Error(classified.code(), what + " " + shown(path) + ": " + why.message(), why.value()));
}

std::unexpected<Error> refuse_argument(const fs::path& path, const std::string& why) {
  return std::unexpected(Error(Code::invalid_argument, shown(path) + " " + why));
}

// Removes what was made so far, whatever way the writing ends.
class Temporary {
 public:
  explicit Temporary(fs::path path) : path_(std::move(path)) { remove(); }
  ~Temporary() { remove(); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const fs::path& path() const { return path_; }

 private:
  void remove() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  fs::path path_;
};

Status write_file(const fs::path& path, const std::string& content) {
  std::error_code why;
  fs::create_directories(path.parent_path(), why);
  if (why) {
    return refuse("cannot make the folder", path.parent_path(), why);
  }
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) {
    return refuse("cannot write", path, std::error_code(errno != 0 ? errno : EIO, std::generic_category()));
  }
  return {};
}

bool leads_out(const fs::path& name) {
  return name.empty() || name.is_absolute() || !name.has_filename() || *name.lexically_normal().begin() == "..";
}

// A folder may be replaced if it is empty or holds a report. Anything else was named by mistake.
Status may_replace(const fs::path& target) {
  std::error_code why;
  const fs::file_status status = fs::status(target, why);
  if (!fs::exists(status)) {
    return status.type() == fs::file_type::not_found ? Status{} : refuse("cannot look at", target, why);
  }
  if (!fs::is_directory(status)) {
    return refuse_argument(target, "is a file; a report is written to a folder");
  }
  const bool empty = fs::is_empty(target, why);
  if (why) {
    return refuse("cannot look into", target, why);
  }
  if (!empty && !fs::exists(target / jsonl_name, why)) {
    return refuse_argument(target, "holds other things than a report and is left alone; name a new or empty folder");
  }
  return {};
}

// Afterwards `target` is what `fresh` was, and `fresh` is what `target` was, if that was there.
Status swap_in(const fs::path& fresh, const fs::path& target) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    return {};
  }
  std::error_code why(errno, std::generic_category());
  if (why == std::errc::no_such_file_or_directory) {
    fs::rename(fresh, target, why);
    return why ? refuse("cannot name the report", target, why) : Status{};
  }
  if (why != std::errc::invalid_argument && why != std::errc::function_not_supported) {
    return refuse("cannot replace the report", target, why);
  }
  // The file system cannot exchange. For an instant there is no report, and never half of one.
  const Temporary old(fs::path(fresh) += ".old");
  fs::rename(target, old.path(), why);
  if (!why) {
    fs::rename(fresh, target, why);
    if (why) {
      std::error_code ignored;
      fs::rename(old.path(), target, ignored);
    }
  }
  return why ? refuse("cannot replace the report", target, why) : Status{};
}

// The folder that is meant by a name; through symbolic links: the folder they lead to is replaced, not they.
std::expected<fs::path, Error> target_of(const std::string& folder) {
  std::error_code why;
  fs::path target = folder.empty() ? fs::path() : fs::weakly_canonical(fs::absolute(folder, why), why);
  target = target.has_filename() ? target : target.parent_path();
  if (why) {
    return refuse("cannot look at", folder, why);
  }
  if (!target.has_filename()) {
    return refuse_argument(folder, "is no name for a report's folder");
  }
  RIG_TRY_STATUS(may_replace(target));
  return target;
}

// The place beside it where the report is made.
fs::path place_beside(const fs::path& target) {
  return target.parent_path() / ("." + target.filename().string() + ".new-" + std::to_string(::getpid()));
}

}  // namespace

Status check_report_folder(const std::string& folder) {
  RIG_TRY(target, target_of(folder));
  const Temporary fresh(place_beside(target));
  return write_file(fresh.path() / jsonl_name, "");
}

Status write_report(const Report& report, const std::string& folder) {
  RIG_TRY(target, target_of(folder));
  const Temporary fresh(place_beside(target));
  RIG_TRY_STATUS(write_file(fresh.path() / jsonl_name, report_jsonl(report)));
  RIG_TRY_STATUS(write_file(fresh.path() / "junit.xml", report_junit(report)));
  RIG_TRY_STATUS(write_file(fresh.path() / "index.html", report_html(report)));
  for (const ReportFile& file : report.files) {
    if (leads_out(file.name)) {
      return refuse_argument(file.name, "is no name for a file within a report");
    }
    RIG_TRY_STATUS(write_file(fresh.path() / file.name, file.content));
  }
  return swap_in(fresh.path(), target);
}

std::string report_jsonl(const Report& report) {
  std::string text;
  for (const Verdict& verdict : report.verdicts) {
    text += verdict_json(verdict) + "\n";
  }
  return text;
}

std::expected<std::vector<Verdict>, Error> read_verdicts(const std::string& folder) {
  const fs::path path = fs::path(folder) / jsonl_name;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return refuse("cannot read", path, std::error_code(errno != 0 ? errno : EIO, std::generic_category()));
  }
  std::vector<Verdict> verdicts;
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    auto verdict = verdict_from_json(line);
    if (!verdict.has_value()) {
      return std::unexpected(Error(Code::invalid_argument, "line " + std::to_string(number) + " of " + shown(path) +
                                                               ": " + std::string(verdict.error().detail())));
    }
    verdicts.push_back(std::move(*verdict));
  }
  return verdicts;
}

}  // namespace rig
