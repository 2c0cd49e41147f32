#include "harness/scenario/verdict.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace rig {
namespace {

Verdict example() {
  Verdict verdict;
  verdict.kind = VerdictKind::hang;
  verdict.suite = "close_with_pending";
  verdict.cell_claimed.subject = "./mine.so";
  verdict.cell_claimed.client = "gnutls";
  verdict.cell_claimed.tls = TlsChoice::tls13;
  verdict.cell_claimed.auth = Auth::certificate;
  verdict.cell_claimed.world = World::lab;
  verdict.cell_claimed.poller = PollerChoice::select;
  verdict.cell_claimed.fast_track = false;
  verdict.cell_claimed.nodelay_client = false;
  verdict.cell_claimed.nodelay_server = false;
  verdict.cell_claimed.ipv6 = true;
  verdict.cell = cell_name(verdict.cell_claimed);
  verdict.seed = std::numeric_limits<std::uint64_t>::max();
  verdict.reason = "nothing happened any more: \"client 0\" waits\nfor <&>";
  verdict.lacking = "no port is free";
  verdict.violations = {{Law::c1_exactly_once, "client 0", "op 3 never completed"},
                        {Law::h1_nothing_left, "server 1", "an error was left behind"}};
  verdict.violation_count = 7;
  verdict.counters = {{"ops", 200}, {"pending_at_close", std::numeric_limits<std::uint64_t>::max()}};
  verdict.used = {"GnuTLS 3.7.9", "OpenSSL 3.0.17", "1.3", "AES", "select", "off", "on", "off"};
  verdict.repro = "tlsrig replay a b.scn";
  verdict.seconds = 0.125;
  verdict.trace_hash = 0xfedcba9876543210;
  return verdict;
}

void expect_same(const Verdict& a, const Verdict& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.suite, b.suite);
  EXPECT_EQ(a.cell, b.cell);
  EXPECT_EQ(a.cell_claimed, b.cell_claimed);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.lacking, b.lacking);
  ASSERT_EQ(a.violations.size(), b.violations.size());
  for (std::size_t i = 0; i < a.violations.size(); ++i) {
    EXPECT_EQ(a.violations[i].law, b.violations[i].law);
    EXPECT_EQ(a.violations[i].where, b.violations[i].where);
    EXPECT_EQ(a.violations[i].message, b.violations[i].message);
  }
  EXPECT_EQ(a.violation_count, b.violation_count);
  EXPECT_EQ(a.counters, b.counters);
  EXPECT_EQ(a.used, b.used);
  EXPECT_EQ(a.repro, b.repro);
  EXPECT_EQ(a.seconds, b.seconds);
  EXPECT_EQ(a.trace_hash, b.trace_hash);
}

Verdict read(const std::string& line) {
  auto verdict = verdict_from_json(line);
  if (!verdict.has_value()) {
    ADD_FAILURE() << verdict.error().detail();
    return {};
  }
  return *verdict;
}

std::string refusal(const std::string& line) {
  const auto verdict = verdict_from_json(line);
  if (verdict.has_value()) {
    return "read";
  }
  EXPECT_EQ(verdict.error().code(), Code::invalid_argument);
  return std::string(verdict.error().detail());
}

TEST(VerdictTest, ReadsBackAsItWasWrittenInOneLine) {
  const std::string line = verdict_json(example());
  EXPECT_EQ(line.find('\n'), std::string::npos);
  expect_same(read(line), example());
  expect_same(read(line + "\n"), example());
  expect_same(read(verdict_json(Verdict{})), Verdict{});
}

TEST(VerdictTest, EachKindAndEachLawReadsBack) {
  for (const std::string_view name : {"pass", "fail", "hang", "vacuous", "skip"}) {
    Verdict verdict;
    verdict.kind = verdict_kind_from_name(name).value();
    EXPECT_EQ(verdict_kind_name(verdict.kind), name);
    EXPECT_EQ(read(verdict_json(verdict)).kind, verdict.kind);
  }
  for (const LawEntry& entry : law_table()) {
    Verdict verdict;
    verdict.violations = {{entry.law, "", ""}};
    EXPECT_EQ(read(verdict_json(verdict)).violations.at(0).law, entry.law);
  }
  EXPECT_EQ(verdict_kind_from_name("green"), std::nullopt);
}

TEST(VerdictTest, HasTheKeysThatOthersReadInEveryLine) {
  const auto json = nlohmann::json::parse(verdict_json(Verdict{}));
  for (const char* key : {"suite", "cell", "seed", "verdict", "reason", "violations", "violation_count", "counters",
                          "used", "repro", "seconds", "hash", "claimed"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(nlohmann::json::parse(verdict_json(example())).at("hash"), "fedcba9876543210");
}

TEST(VerdictTest, TextThatIsNoUtf8AndTimesThatAreNoNumbersStillMakeALine) {
  Verdict verdict;
  verdict.reason = "a\xff\xc3z";
  verdict.seconds = std::numeric_limits<double>::quiet_NaN();
  const Verdict back = read(verdict_json(verdict));
  EXPECT_EQ(back.reason, "a\xef\xbf\xbd\xef\xbf\xbdz");
  EXPECT_EQ(back.seconds, 0);
}

TEST(VerdictTest, KeysThatAreMissingOrUnknownAreNoHindrance) {
  const Verdict verdict = read(R"({"verdict": "pass", "colour": "green", "used": {"tls": "1.3", "moon": "full"}})");
  EXPECT_EQ(verdict.kind, VerdictKind::pass);
  EXPECT_EQ(verdict.used.tls, "1.3");
  EXPECT_EQ(verdict.cell_claimed, Cell{});
}

TEST(VerdictTest, WhatIsNoVerdictIsRefusedWithASentence) {
  EXPECT_EQ(refusal(""), "this is no verdict: it is not one JSON object");
  EXPECT_EQ(refusal("[]"), "this is no verdict: it is not one JSON object");
  EXPECT_EQ(refusal("{\"verdict\": \"pass\"} {}"), "this is no verdict: it is not one JSON object");
  EXPECT_EQ(refusal("{}"), "this is no verdict: the key 'verdict' is missing");
  EXPECT_EQ(refusal(R"({"verdict": "green"})"), "this is no verdict: it has the unknown verdict 'green'");
  EXPECT_EQ(refusal(R"({"verdict": "pass", "hash": "xyz"})"),
            "this is no verdict: its hash 'xyz' is no hexadecimal number of 64 bits");
  EXPECT_EQ(refusal(R"({"verdict": "fail", "violations": [{"law": "Z9", "where": "", "message": ""}]})"),
            "this is no verdict: it has the unknown law 'Z9'");
  EXPECT_EQ(refusal(R"({"verdict": "fail", "claimed": {"tls": "1.1"}})"),
            "this is no verdict: it has the unknown word '1.1'");
  for (const char* line :
       {R"({"verdict": 1})", R"({"verdict": "pass", "seed": "x"})", R"({"verdict": "pass", "used": 3})",
        R"({"verdict": "fail", "violations": [1]})", R"({"verdict": "pass", "counters": [1]})",
        R"({"verdict": "pass", "counters": {"a": "b"}})", R"({"verdict": "pass", "claimed": {"ipv6": 1}})"}) {
    EXPECT_TRUE(refusal(line).starts_with("this is no verdict: ")) << line;
  }
}

TEST(VerdictTest, NestingWithoutEndIsRefused) {
  EXPECT_EQ(refusal(std::string(1000000, '[')), "this is no verdict: it is not one JSON object");
}

TEST(VerdictTest, NoPieceOfALineIsReadAsAVerdict) {
  const std::string line = verdict_json(example());
  for (std::size_t bytes = 0; bytes < line.size(); ++bytes) {
    EXPECT_NE(refusal(line.substr(0, bytes)), "read") << bytes;
  }
}

}  // namespace
}  // namespace rig
