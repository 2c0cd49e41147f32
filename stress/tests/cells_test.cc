// A verdict says what was really used, and a cell that claims otherwise fails. What was not tested is no pass either: a
// run that missed its situation is vacuous, one that the subject cannot do is a skip, one that stands still a hang.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "harness/scenario/runner.h"
#include "harness/subjects/house.h"
#include "stress/suite.h"
#include "stress/tests/doctored_subject.h"

namespace rig {
namespace {

Cell openssl_cell() {
  Cell cell;
  cell.fast_track = false;
  cell.nodelay_client = true;
  cell.nodelay_server = false;
  return cell;
}

Cell plain_cell() {
  Cell cell;
  cell.client = cell.server = "null";
  cell.tls = TlsChoice::none;
  return cell;
}

Scenario send_load(const Cell& cell) {
  return find_suite("send_load")->make(cell, Size::tiny, 1);
}

Verdict run_doctored(Doctoring doctoring, const Scenario& scenario) {
  return run_scenario(scenario, {.subject = make_doctored(doctoring)});
}

// Lie is a doctoring, and what the run is to say about it.
struct Lie {
  const char* name;
  Doctoring doctoring;
  const char* reason;
};

class Claims : public testing::TestWithParam<Lie> {};

TEST_P(Claims, AClaimThatDiffersFromWhatWasUsedFails) {
  const Verdict verdict = run_doctored(GetParam().doctoring, send_load(openssl_cell()));
  EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
  EXPECT_EQ(verdict.reason, GetParam().reason);
  EXPECT_EQ(verdict.violation_count, 0u);  // the run itself was in order
  EXPECT_EQ(verdict.counters.at("ops"), 60u);
}

// Some differences concern both sides; the client is looked at first.
constexpr Lie lies[] = {
    {"library_of_the_client", Doctoring::other_library_client,
     "client 0: the cell claims library openssl, really used was mbedtls"},
    {"library_of_the_server", Doctoring::other_library_server,
     "server 0: the cell claims library openssl, really used was mbedtls"},
    {"tls_version", Doctoring::other_tls, "client 0: the cell claims TLS version 1.2, really used was 1.3"},
    {"poller", Doctoring::other_poller, "client 0: the cell claims poller epoll, really used was poll"},
    {"fast_track", Doctoring::other_fast_track, "client 0: the cell claims fast_track off, really used was on"},
    {"nodelay_of_the_client", Doctoring::other_nodelay_client,
     "client 0: the cell claims nodelay on, really used was off"},
    {"nodelay_of_the_server", Doctoring::other_nodelay_server,
     "server 0: the cell claims nodelay off, really used was on"},
    {"psk", Doctoring::certificates_for_psk, "client 0: the cell claims psk yes, really used was no"},
};
INSTANTIATE_TEST_SUITE_P(OfACell, Claims, testing::ValuesIn(lies),
                         [](const testing::TestParamInfo<Lie>& test) { return std::string(test.param.name); });

// Where no connection comes about, what was used is claimed all the same.
struct LieWithoutAConnection {
  const char* name;
  const char* suite;
  Doctoring doctoring;
  const char* reason;
};

class UnconnectedClaims : public testing::TestWithParam<LieWithoutAConnection> {};

TEST_P(UnconnectedClaims, AClaimThatDiffersFromWhatWasUsedFails) {
  const Suite* const suite = find_suite(GetParam().suite);
  const Verdict verdict = run_doctored(GetParam().doctoring, suite->make(openssl_cell(), Size::tiny, 1));
  EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
  EXPECT_EQ(verdict.reason, GetParam().reason);
  EXPECT_EQ(verdict.counters.at("connected"), 0u);
}

constexpr LieWithoutAConnection lies_without_a_connection[] = {
    {"library_of_the_client", "plaintext_peer", Doctoring::other_library_client,
     "client 0: the cell claims library openssl, really used was mbedtls"},
    {"poller", "plaintext_peer", Doctoring::other_poller,
     "client 0: the cell claims poller epoll, really used was poll"},
    {"fast_track", "plaintext_peer", Doctoring::other_fast_track,
     "client 0: the cell claims fast_track off, really used was on"},
    {"nodelay_of_the_client", "plaintext_peer", Doctoring::other_nodelay_client,
     "client 0: the cell claims nodelay on, really used was off"},
    {"library_of_the_server", "plaintext_caller", Doctoring::other_library_server,
     "server 0: the cell claims library openssl, really used was mbedtls"},
    {"nodelay_of_the_server", "plaintext_caller", Doctoring::other_nodelay_server,
     "server 0: the cell claims nodelay off, really used was on"},
    {"poller_at_the_deadline", "handshake_deadline", Doctoring::other_poller,
     "client 0: the cell claims poller epoll, really used was poll"},
};
INSTANTIATE_TEST_SUITE_P(OfACell, UnconnectedClaims, testing::ValuesIn(lies_without_a_connection),
                         [](const testing::TestParamInfo<LieWithoutAConnection>& test) {
                           return std::string(test.param.name);
                         });

TEST(Cells, TheVerdictSaysWhatWasUsedAlsoWithoutAConnection) {
  for (const char* suite : {"plaintext_peer", "plaintext_caller", "handshake_deadline"}) {
    const Verdict verdict = run_doctored(Doctoring::nothing, find_suite(suite)->make(openssl_cell(), Size::tiny, 1));
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
    EXPECT_EQ(verdict.used.poller, "epoll") << suite;
    EXPECT_EQ(verdict.used.fast_track, "off") << suite;
    EXPECT_TRUE((verdict.used.client_library + verdict.used.server_library).contains("OpenSSL 3.")) << suite;
    EXPECT_EQ(verdict.used.tls, "") << suite << ": nothing was negotiated";
    EXPECT_EQ(verdict.used.cipher, "") << suite;
  }
}

Cell certificate_cell(const std::string& client) {
  Cell cell = openssl_cell();
  cell.client = client;
  cell.auth = Auth::certificate;
  return cell;
}

TEST(Cells, AClientThatVerifiesNothingFails) {
  for (const char* client : {"openssl", "gnutls", "mbedtls"}) {
    const Verdict good = run_doctored(Doctoring::nothing, send_load(certificate_cell(client)));
    EXPECT_EQ(good.kind, VerdictKind::pass) << verdict_json(good);
    const Verdict verdict = run_doctored(Doctoring::verification_off, send_load(certificate_cell(client)));
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    EXPECT_EQ(verdict.reason, "client 0: the cell claims peer verified yes, really used was no");
  }
}

TEST(Cells, AHostThatTheCertificateDoesNotNameIsNotConnectedTo) {
  for (const char* client : {"openssl", "gnutls", "mbedtls"}) {
    Scenario scenario = send_load(certificate_cell(client));
    scenario.ops_may_fail = true;
    scenario.all_delivered = false;
    const Verdict verdict = run_doctored(Doctoring::other_host, scenario);
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    EXPECT_TRUE(verdict.reason.starts_with("client 0: connected was to come as ok, and came as verification_failed ("))
        << verdict.reason;
  }
}

TEST(Cells, ALibraryThatTellsAnotherVersionFails) {
  const Verdict verdict = run_doctored(Doctoring::other_version_told, send_load(openssl_cell()));
  EXPECT_EQ(verdict.kind, VerdictKind::fail);
  EXPECT_TRUE(verdict.reason.starts_with("client 0: the cell claims library version OpenSSL 3.")) << verdict.reason;
  EXPECT_TRUE(verdict.reason.ends_with("really used was Elsewhere 1.0")) << verdict.reason;
}

TEST(Cells, TheVerdictSaysWhatWasUsed) {
  const Verdict verdict = run_doctored(Doctoring::nothing, send_load(openssl_cell()));
  EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  EXPECT_EQ(verdict.used.tls, "1.2");
  EXPECT_EQ(verdict.used.poller, "epoll");
  EXPECT_EQ(verdict.used.fast_track, "off");
  EXPECT_EQ(verdict.used.nodelay_client, "on");
  EXPECT_EQ(verdict.used.nodelay_server, "off");
  EXPECT_TRUE(verdict.used.client_library.starts_with("OpenSSL 3.")) << verdict.used.client_library;
  EXPECT_EQ(verdict.used.server_library, verdict.used.client_library);
  EXPECT_FALSE(verdict.used.cipher.empty());
}

TEST(Vacuous, ASituationThatWasNotReachedIsNoPass) {
  Scenario scenario = send_load(plain_cell());
  scenario.reaches = {{.counter = "ops", .at_least = 60}, {.counter = "renegotiated_ends", .at_least = 1}};
  const Verdict verdict = run_scenario(scenario);
  EXPECT_EQ(verdict.kind, VerdictKind::vacuous);
  EXPECT_EQ(verdict.reason, "the situation was not reached: renegotiated_ends is 0, needed is at least 1");
}

TEST(Vacuous, ACounterThatNobodyCountsIsNoPass) {
  Scenario scenario = send_load(plain_cell());
  scenario.reaches = {{.counter = "no_such_counter", .at_least = 1}};
  EXPECT_EQ(run_scenario(scenario).kind, VerdictKind::vacuous);
}

TEST(Vacuous, OpsThatCompleteAtOnceWithTheFastTrackOffAreNoPass) {
  const Verdict verdict = run_doctored(Doctoring::fast_track_hidden, send_load(openssl_cell()));
  EXPECT_EQ(verdict.kind, VerdictKind::vacuous) << verdict_json(verdict);
  EXPECT_EQ(verdict.reason, "the situation was not reached: all_ops_async is 0, needed is at least 1");
  EXPECT_EQ(verdict.used.fast_track, "off");  // as the subject says of itself
  EXPECT_GT(verdict.counters.at("ops_at_once"), 0u);
}

struct Lack {
  const char* name;
  Doctoring doctoring;
  const char* reason;
};

class Skips : public testing::TestWithParam<Lack> {};

TEST_P(Skips, WhatTheSubjectCannotDoIsSkippedWithTheReason) {
  const Verdict verdict = run_doctored(GetParam().doctoring, send_load(openssl_cell()));
  EXPECT_EQ(verdict.kind, VerdictKind::skip);
  EXPECT_EQ(verdict.reason, GetParam().reason);
}

constexpr Lack lacks[] = {
    {"poller", Doctoring::poller_missing, "house has no epoll poller"},
    {"library", Doctoring::library_missing, "house has no library 'openssl'"},
    {"tls_version", Doctoring::tls12_missing, "openssl cannot do TLS 1.2"},
    {"psk", Doctoring::psk_missing, "openssl cannot authenticate by psk"},
    {"fast_track_off", Doctoring::fast_track_always_on, "house cannot switch its fast track off"},
};
INSTANTIATE_TEST_SUITE_P(OfASubject, Skips, testing::ValuesIn(lacks),
                         [](const testing::TestParamInfo<Lack>& test) { return std::string(test.param.name); });

TEST(Hangs, ALoopThatDeliversNothingIsAHangThatNamesTheStep) {
  const RunOptions options{.subject = make_doctored(Doctoring::loops_deliver_nothing), .stall_limit_us = 200'000};
  const Verdict verdict = run_scenario(send_load(plain_cell()), options);
  EXPECT_EQ(verdict.kind, VerdictKind::hang);
  EXPECT_TRUE(
      verdict.reason.starts_with("nothing happened any more during the steps: thread 0 of client 0 is at step "
                                 "2, await connected; client 0 is not connected with 0 ops pending"))
      << verdict.reason;
  EXPECT_TRUE(verdict.reason.contains("C6, client 0")) << verdict.reason;  // nor does an abort bring its `closed`
}

// bad_subject is the shared object that a child process loads by its path.
Scenario bad_subject(const char* path) {
  Scenario scenario = send_load(plain_cell());
  scenario.cell.subject = path;
  scenario.settings.fresh_process = true;
  return scenario;
}

TEST(FreshProcess, ACrashOfTheChildIsAFailThatNamesTheSignal) {
  const Verdict verdict = run_scenario(bad_subject(RIG_CRASHING_SUBJECT));
  EXPECT_EQ(verdict.kind, VerdictKind::fail);
  EXPECT_EQ(verdict.reason, "the fresh process gave no good verdict: it was ended by signal 6 (Aborted)");
}

TEST(FreshProcess, ALoopThatNeverComesBackIsAHangThatNamesTheStep) {
  const Verdict verdict = run_scenario(bad_subject(RIG_STICKING_SUBJECT), {.stall_limit_us = 200'000});
  EXPECT_EQ(verdict.kind, VerdictKind::hang) << verdict_json(verdict);
  EXPECT_TRUE(verdict.reason.contains("thread 0 of client 0 is at step 2, await connected")) << verdict.reason;
}

// This program is the fresh process as well: with DIES_AT_EXIT it ends as a sanitizer ends one that it has a report on.
constexpr const char* dies_at_exit = "TLSRIG_TEST_DIES_AT_EXIT";
const bool armed = std::getenv(dies_at_exit) != nullptr && std::atexit([] { ::_exit(1); }) == 0;

TEST(FreshProcess, AChildThatEndsBadlyAfterAGoodVerdictIsAFail) {
  ASSERT_FALSE(armed);
  Scenario scenario = send_load(plain_cell());
  scenario.settings.fresh_process = true;
  ::setenv(dies_at_exit, "1", 1);
  const Verdict verdict = run_scenario(scenario);
  ::unsetenv(dies_at_exit);
  EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
  EXPECT_EQ(verdict.reason, "the fresh process did not end well after the verdict 'pass': it exited with 1");
}

TEST(FreshProcess, AGoodChildsVerdictIsTheVerdict) {
  Scenario scenario = send_load(openssl_cell());
  scenario.settings.fresh_process = true;
  const Verdict verdict = run_scenario(scenario);
  EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  EXPECT_EQ(verdict.counters.at("ops"), 60u);
  EXPECT_TRUE(verdict.used.client_library.starts_with("OpenSSL 3."));
}

TEST(FreshProcess, WhatTheChildFoundVacuousIsNoPass) {
  Scenario scenario = send_load(plain_cell());
  scenario.settings.fresh_process = true;
  scenario.reaches.push_back({.counter = "renegotiated_ends", .at_least = 1});
  const Verdict verdict = run_scenario(scenario);
  EXPECT_EQ(verdict.kind, VerdictKind::vacuous) << verdict_json(verdict);
}

}  // namespace
}  // namespace rig
