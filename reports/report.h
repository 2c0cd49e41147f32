// Report: a list of verdicts as a folder that people and CI read.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/error.h"
#include "harness/scenario/verdict.h"

namespace rig {

// ReportFile is one more file of a report: a scenario that was kept, for example.
struct ReportFile {
  std::string name;  // a path below the report's folder: "scenarios/send_load.scn"
  std::string content;
};

// Report is what a report says.
struct Report {
  std::string title = "tlsrig";
  std::string made_at;  // when and where, in words; the renderer reads no clock, so equal reports are equal files
  std::vector<Verdict> verdicts;
  std::vector<ReportFile> files;
};

// report_jsonl is one line of verdict_json() for each verdict.
std::string report_jsonl(const Report& report);

// report_junit is JUnit XML: a testsuite for each suite, a testcase for each verdict. Fail, hang and vacuous are
// failures, a skip is skipped. It is valid XML 1.0 whatever the verdicts hold.
std::string report_junit(const Report& report);

// report_html is one HTML page without scripts and without anything from elsewhere.
std::string report_html(const Report& report);

// write_report writes verdicts.jsonl, junit.xml, index.html and the report's own files into `folder`, which is made if
// it is not there and replaced as a whole if it holds an earlier report. All is written beside it first and swapped in
// by rename: at no time is a half-written report under that name.
// Errors: invalid_argument (no name, a file's path that leads out of the folder, a folder with other things than a
// report in it, which is left alone), refused_by_system and others with the path and the reason.
Status write_report(const Report& report, const std::string& folder);

// check_report_folder is what write_report would refuse about `folder`, asked before there is anything to write: a run
// of hours must not end with that. Only parent folders that were missing are made. Errors: those of write_report.
Status check_report_folder(const std::string& folder);

// read_verdicts reads the verdicts.jsonl of a report. Errors: as the system refuses it; invalid_argument with the line.
std::expected<std::vector<Verdict>, Error> read_verdicts(const std::string& folder);

// printable is `text` as characters that HTML and XML 1.0 may hold: control characters are written out (\x1b), what
// is no UTF-8 becomes U+FFFD. Line ends and tabs stay.
std::string printable(std::string_view text);

}  // namespace rig
