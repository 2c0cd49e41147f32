#include "reports/report.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "reports/tests/sample.h"

namespace rig {
namespace {

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    ++found;
  }
  return found;
}

Verdict verdict(VerdictKind kind, const std::string& reason) {
  Verdict result;
  result.kind = kind;
  result.suite = "send_load";
  result.cell = cell_name(result.cell_claimed);
  result.seed = 3;
  result.reason = reason;
  result.repro = kind == VerdictKind::pass ? "" : "tlsrig replay a.scn";
  return result;
}

Report report_of(std::vector<Verdict> verdicts) {
  Report report;
  report.verdicts = std::move(verdicts);
  return report;
}

TEST(ReportJunitTest, OfEachKind) {
  Verdict slow = verdict(VerdictKind::pass, "");
  slow.seconds = 1.5;
  const std::string text =
      report_junit(report_of({slow, verdict(VerdictKind::skip, "cannot"), verdict(VerdictKind::vacuous, "not reached"),
                              verdict(VerdictKind::hang, "nothing moved")}));
  EXPECT_TRUE(
      text.contains("<testsuite name=\"send_load\" tests=\"4\" failures=\"2\" errors=\"0\" skipped=\"1\" "
                    "time=\"1.500000\">"))
      << text;
  EXPECT_TRUE(text.contains("<skipped message=\"cannot\"/>"));
  EXPECT_TRUE(text.contains("<failure message=\"not reached\" type=\"vacuous\">"));
  EXPECT_TRUE(text.contains("<failure message=\"nothing moved\" type=\"hang\">"));
  EXPECT_EQ(count(text, "tlsrig replay a.scn"), 3u);
}

TEST(ReportJunitTest, ACaseIsNamedByItsCellAndByItsSeedOnlyWhereItRanTwice) {
  Verdict one = verdict(VerdictKind::pass, "");
  EXPECT_TRUE(report_junit(report_of({one})).contains(" name=\"openssl~openssl.tls12.epoll.fast_on\" "));
  Verdict other = one;
  other.seed = 4;
  const std::string text = report_junit(report_of({one, other}));
  EXPECT_TRUE(text.contains(" name=\"openssl~openssl.tls12.epoll.fast_on seed 3\" "));
  EXPECT_TRUE(text.contains(" name=\"openssl~openssl.tls12.epoll.fast_on seed 4\" "));
}

TEST(ReportJunitTest, TimesThatAreNoNumbersCountAsNone) {
  for (const double seconds : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1.0,
                               std::numeric_limits<double>::max()}) {
    Verdict one = verdict(VerdictKind::pass, "");
    one.seconds = seconds;
    EXPECT_TRUE(report_junit(report_of({one})).contains("fast_on\" time=\"0.000000\">")) << seconds;
  }
}

TEST(ReportJunitTest, WhatXmlTreatsAsItsOwnIsEscaped) {
  Verdict one = verdict(VerdictKind::fail, "a<b>&\"c\"\nd");
  one.violations = {{Law::c4_order, "client 0", "]]></failure>\x02"}};
  one.violation_count = 1;
  const std::string text = report_junit(report_of({one}));
  EXPECT_TRUE(text.contains("message=\"a&lt;b&gt;&amp;&quot;c&quot;&#10;d\"")) << text;
  EXPECT_TRUE(text.contains("C4 client 0: ]]&gt;&lt;/failure&gt;\\x02")) << text;
  EXPECT_EQ(count(text, "</failure>"), 1u);
}

TEST(ReportHtmlTest, SaysInOneSentenceHowItEnded) {
  EXPECT_TRUE(report_html(Report{}).contains("<p class=\"headline vacuous\">Nothing was tested</p>"));
  EXPECT_TRUE(report_html(report_of({verdict(VerdictKind::skip, "cannot")}))
                  .contains("<p class=\"headline vacuous\">Nothing was tested</p>"));
  EXPECT_TRUE(report_html(report_of({verdict(VerdictKind::pass, ""), verdict(VerdictKind::skip, "cannot")}))
                  .contains("<p class=\"headline pass\">Every case that ran has passed</p>"));
  EXPECT_TRUE(report_html(report_of({verdict(VerdictKind::pass, ""), verdict(VerdictKind::vacuous, "not reached")}))
                  .contains("<p class=\"headline fail\">1 case needs a look</p>"));
  EXPECT_TRUE(report_html(report_of({verdict(VerdictKind::fail, ""), verdict(VerdictKind::hang, "")}))
                  .contains("<p class=\"headline fail\">2 cases need a look</p>"));
}

TEST(ReportHtmlTest, FailuresStandFirstWithTheirViolationsAndTheLineThatRepeatsThem) {
  Verdict hung = verdict(VerdictKind::hang, "nothing moved");
  Verdict failed = verdict(VerdictKind::fail, "C4 was broken");
  failed.violations = {{Law::c4_order, "client 7", "op 3 overtook op 2"}};
  failed.violation_count = 4;
  const std::string text = report_html(report_of({verdict(VerdictKind::pass, ""), hung, failed}));
  const std::size_t hang_at = text.find("<article class=\"sheet card hang\" id=\"case-2\">");
  const std::size_t fail_at = text.find("<article class=\"sheet card fail\" id=\"case-3\">");
  ASSERT_NE(hang_at, std::string::npos);
  ASSERT_NE(fail_at, std::string::npos);
  EXPECT_LT(fail_at, hang_at);
  EXPECT_LT(hang_at, text.find("id=\"matrix\""));
  const std::string card = text.substr(fail_at, hang_at - fail_at);
  EXPECT_TRUE(card.contains("client 7:</span> op 3 overtook op 2")) << card;
  EXPECT_TRUE(card.contains("<p>C4 was broken</p>")) << card;
  EXPECT_TRUE(card.contains("3 more violations")) << card;
  EXPECT_TRUE(card.contains("<pre>tlsrig replay a.scn</pre>")) << card;
  EXPECT_TRUE(card.contains(law_sentence(Law::c4_order))) << card;
}

TEST(ReportHtmlTest, WhatIsNotThereLeavesNoEmptyPlace) {
  Verdict failed = verdict(VerdictKind::fail, "C4 was broken");
  failed.violations = {{Law::c4_order, "client 7", "op 3 overtook op 2"}};
  failed.violation_count = 1;
  const std::string text = report_html(report_of({failed}));
  EXPECT_FALSE(text.contains("more violation"));
  EXPECT_FALSE(text.contains("<li class=\"soft\"></li>"));
  EXPECT_FALSE(text.contains("&middot;"));
  EXPECT_FALSE(text.contains("<details>"));
  EXPECT_FALSE(text.contains("id=\"versions\""));
}

TEST(ReportHtmlTest, WhatHtmlTreatsAsItsOwnIsEscaped) {
  Verdict one = verdict(VerdictKind::fail, "<&\">{{seed}}");
  one.suite = one.cell = one.repro = "<i>&\"";
  one.used.client_library = "<u>";
  one.counters = {{"<s>", 1}};
  one.violations = {{Law::c4_order, "<q>", "<p class=\"x\">"}};
  one.cell_claimed.client = "<a>";
  Report report = report_of({one});
  report.title = report.made_at = "<title>";
  const std::string text = report_html(report);
  for (const char* tag : {"<i>", "<u>", "<s>", "<q>", "<p class=\"x\">", "<a>", "<&\">"}) {
    EXPECT_FALSE(text.contains(tag)) << tag;
  }
  EXPECT_TRUE(text.contains("&lt;&amp;&quot;&gt;{{seed}}"));
  EXPECT_EQ(count(text, "<title>"), 1u);
}

TEST(ReportHtmlTest, OfSeveralRunsAtOnePlaceTheGravestIsShown) {
  Verdict one = verdict(VerdictKind::pass, "");
  Verdict other = verdict(VerdictKind::vacuous, "not reached");
  other.seed = 4;
  const std::string text = report_html(report_of({one, other}));
  EXPECT_TRUE(
      text.contains("<td class=\"vacuous\"><a href=\"#case-2\" "
                    "title=\"openssl~openssl.tls12.epoll.fast_on: vacuous (the gravest of 2)\">\u2205<sup>2</sup>"
                    "</a></td>"))
      << text.substr(text.find("<tbody>"), 600);
}

TEST(ReportTest, EqualReportsAreEqualFiles) {
  EXPECT_EQ(report_html(sample_report(2)), report_html(sample_report(2)));
  EXPECT_EQ(report_junit(sample_report(2)), report_junit(sample_report(2)));
}

TEST(PrintableTest, KeepsTextAndShowsWhatIsNone) {
  EXPECT_EQ(printable("caf\u00e9 \u20ac \U0001f600\n\t"), "caf\u00e9 \u20ac \U0001f600\n\t");
  EXPECT_EQ(printable(std::string("\0\x1b\x7f\r", 4)), R"(\x00\x1b\x7f\x0d)");
  const std::string mark = "\ufffd";
  EXPECT_EQ(printable("\x80"), mark);
  EXPECT_EQ(printable("a\xc3"), "a" + mark);
  EXPECT_EQ(printable("\xc0\xaf"), mark + mark);                        // an overlong slash
  EXPECT_EQ(printable("\xed\xa0\x80"), mark + mark + mark);             // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), mark + mark + mark + mark);  // beyond the last character
  EXPECT_EQ(printable("\xef\xbf\xbe"), mark);                           // U+FFFE is no character of XML
}

}  // namespace
}  // namespace rig
