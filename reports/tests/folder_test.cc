#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "reports/report.h"
#include "reports/tests/sample.h"

namespace rig {
namespace {

namespace fs = std::filesystem;

// A folder of its own for each test, removed afterwards.
class ReportFolderTest : public testing::Test {
 protected:
  ReportFolderTest() {
    std::string name = (fs::temp_directory_path() / "tlsrig-report-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~ReportFolderTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  static std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }

  static Report small(const std::string& title) {
    Report report;
    report.title = title;
    report.verdicts = {Verdict{}};
    return report;
  }

  // What write_report refuses; check_report_folder must have said the same about the folder beforehand.
  static std::string refusal(const Report& report, const fs::path& folder) {
    const Status checked = check_report_folder(folder.string());
    if (!checked.has_value()) {
      const Status refused = write_report(report, folder.string());
      EXPECT_FALSE(refused.has_value());
      EXPECT_EQ(refused.error().detail(), checked.error().detail());
      return std::string(checked.error().detail());
    }
    const Status written = write_report(report, folder.string());
    return written.has_value() ? "written" : std::string(written.error().detail());
  }

  fs::path root_;
};

using Names = std::vector<std::string>;

TEST_F(ReportFolderTest, HoldsTheReportAndNothingIsLeftBesideIt) {
  ASSERT_EQ(refusal(small("one"), root_ / "a/b/latest"), "written");
  EXPECT_EQ(names_in(root_ / "a/b"), Names{"latest"});
  EXPECT_EQ(names_in(root_ / "a/b/latest"), (Names{"index.html", "junit.xml", "verdicts.jsonl"}));
  EXPECT_EQ(read(root_ / "a/b/latest/index.html"), report_html(small("one")));
  EXPECT_EQ(read(root_ / "a/b/latest/junit.xml"), report_junit(small("one")));
}

TEST_F(ReportFolderTest, ACheckLeavesNothingAndTouchesNoReport) {
  ASSERT_TRUE(check_report_folder((root_ / "latest").string()).has_value());
  EXPECT_EQ(names_in(root_), Names{});
  ASSERT_EQ(refusal(small("one"), root_ / "latest"), "written");
  ASSERT_TRUE(check_report_folder((root_ / "latest").string()).has_value());
  EXPECT_EQ(names_in(root_), Names{"latest"});
  EXPECT_EQ(read(root_ / "latest/index.html"), report_html(small("one")));
}

TEST_F(ReportFolderTest, AnEarlierReportIsReplacedAsAWhole) {
  Report first = small("one");
  first.files = {{"scenarios/a.scn", "scenario 1\n"}};
  ASSERT_EQ(refusal(first, root_ / "latest"), "written");
  EXPECT_EQ(read(root_ / "latest/scenarios/a.scn"), "scenario 1\n");
  ASSERT_EQ(refusal(small("two"), (root_ / "latest").string() + "/"), "written");
  EXPECT_EQ(names_in(root_), Names{"latest"});
  EXPECT_EQ(names_in(root_ / "latest"), (Names{"index.html", "junit.xml", "verdicts.jsonl"}));
  EXPECT_EQ(read(root_ / "latest/index.html"), report_html(small("two")));
}

TEST_F(ReportFolderTest, AnEmptyFolderIsTaken) {
  fs::create_directory(root_ / "latest");
  EXPECT_EQ(refusal(small("one"), root_ / "latest"), "written");
}

TEST_F(ReportFolderTest, ASymbolicLinkStaysAndLeadsToTheReport) {
  fs::create_directory(root_ / "real");
  fs::create_directory_symlink(root_ / "real", root_ / "latest");
  ASSERT_EQ(refusal(small("one"), root_ / "latest"), "written");
  EXPECT_TRUE(fs::is_symlink(root_ / "latest"));
  EXPECT_TRUE(fs::exists(root_ / "real/index.html"));
}

TEST_F(ReportFolderTest, AFolderWithOtherThingsIsLeftAlone) {
  std::ofstream(root_ / "thesis.tex") << "years of work";
  const std::string why = refusal(small("one"), root_);
  EXPECT_TRUE(why.ends_with("holds other things than a report and is left alone; name a new or empty folder")) << why;
  EXPECT_EQ(names_in(root_), Names{"thesis.tex"});
  EXPECT_EQ(read(root_ / "thesis.tex"), "years of work");
}

TEST_F(ReportFolderTest, AFileIsNoFolder) {
  std::ofstream(root_ / "latest") << "a file";
  const std::string why = refusal(small("one"), root_ / "latest");
  EXPECT_TRUE(why.ends_with("is a file; a report is written to a folder")) << why;
  EXPECT_EQ(read(root_ / "latest"), "a file");
}

TEST_F(ReportFolderTest, AFolderThatCannotBeWrittenIsRefusedWithTheReason) {
  std::ofstream(root_ / "file") << "a file";
  const std::string below_a_file = refusal(small("one"), root_ / "file/latest");
  EXPECT_TRUE(below_a_file.ends_with(": Not a directory")) << below_a_file;
  const Status in_proc = write_report(small("one"), "/proc/latest");
  ASSERT_FALSE(in_proc.has_value());
  EXPECT_TRUE(in_proc.error().detail().starts_with("cannot make the folder '/proc/.latest.new-"))
      << in_proc.error().detail();
}

TEST_F(ReportFolderTest, NamesThatAreNoneAreRefused) {
  EXPECT_EQ(refusal(small("one"), ""), "'' is no name for a report's folder");
  EXPECT_EQ(refusal(small("one"), "/"), "'/' is no name for a report's folder");
}

TEST_F(ReportFolderTest, AFileOfTheReportStaysWithinIt) {
  for (const char* name : {"../escaped", "/tmp/escaped", "a/../../escaped", "", "scenarios/"}) {
    Report report = small("one");
    report.files = {{name, "x"}};
    const std::string why = refusal(report, root_ / "latest");
    EXPECT_EQ(why, "'" + std::string(name) + "' is no name for a file within a report");
  }
  EXPECT_EQ(names_in(root_), Names{});
}

TEST_F(ReportFolderTest, WhenTheWritingFailsTheEarlierReportStays) {
  ASSERT_EQ(refusal(small("one"), root_ / "latest"), "written");
  Report broken = small("two");
  broken.files = {{"index.html/below", "x"}};  // index.html is a file
  const std::string why = refusal(broken, root_ / "latest");
  EXPECT_TRUE(why.ends_with(": Not a directory")) << why;
  EXPECT_EQ(names_in(root_), Names{"latest"});
  EXPECT_EQ(read(root_ / "latest/index.html"), report_html(small("one")));
}

TEST_F(ReportFolderTest, ItsVerdictsReadBack) {
  const Report report = sample_report(2);
  ASSERT_EQ(refusal(report, root_ / "latest"), "written");
  const auto verdicts = read_verdicts((root_ / "latest").string());
  ASSERT_TRUE(verdicts.has_value()) << verdicts.error().detail();
  Report again = report;
  again.verdicts = *verdicts;
  EXPECT_EQ(report_html(again), report_html(report));
}

TEST_F(ReportFolderTest, VerdictsThatCannotBeReadAreRefusedWithTheLine) {
  const auto missing = read_verdicts((root_ / "none").string());
  ASSERT_FALSE(missing.has_value());
  EXPECT_TRUE(missing.error().detail().ends_with("verdicts.jsonl': No such file or directory"))
      << missing.error().detail();
  std::ofstream(root_ / "verdicts.jsonl") << verdict_json(Verdict{}) << "\nnonsense\n";
  const auto broken = read_verdicts(root_.string());
  ASSERT_FALSE(broken.has_value());
  EXPECT_TRUE(broken.error().detail().starts_with("line 2 of ")) << broken.error().detail();
}

}  // namespace
}  // namespace rig
