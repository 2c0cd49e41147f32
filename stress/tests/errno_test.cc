// Each row of the errno table, injected in the lab: on either side of a connection, in its handshake and between its
// data, for every subject, library and version. A row whose fault did not strike fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "harness/oracle/errno_table.h"
#include "harness/scenario/runner.h"
#include "harness/subjects/subjects.h"
#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// Blow is one row at one place: the nth such call of a side, at this of its names.
struct Blow {
  const ErrnoRow* row = nullptr;
  Side side = Side::client;
  std::uint64_t nth = 1;
};

std::string text_of(const Blow& blow) {
  return std::string(call_name(blow.row->call)) + " " + std::string(blow.row->name) + " at call " +
         std::to_string(blow.nth) + " of the " + std::string(word(blow.side));
}

// ops_of are the names that a call goes by: which of them a library uses is its own business.
std::vector<lab::Op> ops_of(SystemCall call) {
  switch (call) {
    case SystemCall::connect:
      return {lab::Op::connect};
    case SystemCall::accept:
      return {lab::Op::accept};
    case SystemCall::send:
      return {lab::Op::send, lab::Op::write};
    case SystemCall::receive:
      return {lab::Op::recv, lab::Op::read};
    case SystemCall::set_option:
      return {lab::Op::setsockopt};
    default:  // what makes something: making_test.cc
      return {};
  }
}

// A socket is of no connection before it is connected, and a listener's options are nobody's: there any call is meant.
std::vector<lab::Fault> faults_of(const Blow& blow) {
  const SystemCall call = blow.row->call;
  const bool of_anybody = call == SystemCall::connect || call == SystemCall::set_option;
  std::vector<lab::Fault> faults;
  for (const lab::Op op : ops_of(call)) {
    lab::Fault fault;
    fault.number = static_cast<std::uint32_t>(faults.size()) + 1;
    fault.kind = call == SystemCall::set_option ? lab::FaultKind::option : lab::FaultKind::error;
    fault.op = op;
    fault.nth = blow.nth;
    fault.amount = blow.row->number;
    fault.sticky = call == SystemCall::set_option;
    if (!of_anybody) {
      fault.connection = 0;
      fault.side = blow.side == Side::client ? lab::FaultSide::client : lab::FaultSide::server;
    }
    faults.push_back(fault);
  }
  return faults;
}

// any_outcome is what the other side may be told: it is not what this is about.
std::vector<std::optional<Code>> any_outcome() {
  std::vector<std::optional<Code>> all{std::nullopt};
  for (std::size_t code = 0; code <= static_cast<std::size_t>(Code::internal); ++code) {
    all.emplace_back(static_cast<Code>(code));
  }
  return all;
}

// talk is small messages to and fro, so that either side makes many calls. Options that are refused are not in use:
// what a cell claims of Nagle's algorithm is what a socket has without any.
Scenario talk(Cell cell, const Blow& blow) {
  if (blow.row->call == SystemCall::set_option) {
    cell.nodelay_client = cell.nodelay_server = false;
  }
  Scenario scenario = blank("errno", cell, Size::tiny, 1);
  tight(scenario);
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  constexpr std::uint64_t messages = 8;
  constexpr std::uint64_t bytes = 300;
  std::vector<Step> steps{connect(), await(Condition::connected)};
  for (std::uint64_t message = 1; message <= messages; ++message) {
    steps.push_back(send(1, bytes, bytes));
    steps.push_back(await(Condition::received, message * bytes));
  }
  steps.push_back(act(Verb::close_graceful));
  scenario.threads.push_back(on_loop(Side::client, {}, std::move(steps)));
  scenario.lab.faults = faults_of(blow);
  if (!blow.row->ends.has_value()) {
    return scenario;
  }
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  const Side other = blow.side == Side::client ? Side::server : Side::client;
  scenario.expectations = {expect(blow.side, 0, Event::connected, {std::nullopt, blow.row->ends}),
                           expect(blow.side, 0, Event::closed, {blow.row->ends}),
                           expect(other, 0, Event::connected, any_outcome()),
                           expect(other, 0, Event::closed, any_outcome())};
  return scenario;
}

struct Place {
  std::string subject;
  std::string library;
  TlsChoice tls;
};

std::string place_text(const Place& place) {
  return place.subject + "_" + place.library + (place.tls == TlsChoice::tls12 ? "_tls12" : "_tls13");
}

std::vector<Place> places() {
  std::vector<Place> all;
  for (const char* const subject : {"house", "direct"}) {
    const auto found = find_subject(subject);
    for (const char* const library : {"openssl", "gnutls", "mbedtls"}) {
      const std::uint32_t can = found.has_value() ? (*found)->capabilities(library) : 0;
      for (const TlsChoice tls : {TlsChoice::tls12, TlsChoice::tls13}) {
        if ((can & (tls == TlsChoice::tls12 ? RIG_CAN_TLS12 : RIG_CAN_TLS13)) != 0) {
          all.push_back({subject, library, tls});
        }
      }
    }
  }
  return all;
}

class ErrnoTable : public testing::TestWithParam<Place> {
 protected:
  static Cell cell() {
    Cell cell;
    cell.subject = GetParam().subject;
    cell.client = cell.server = GetParam().library;
    cell.tls = GetParam().tls;
    cell.world = World::lab;
    cell.poller = PollerChoice::poll;
    return cell;
  }

  // strike runs the blow, and says how often it struck.
  static std::size_t strike(const Blow& blow, Verdict& verdict) {
    verdict = run_scenario(talk(cell(), blow));
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << text_of(blow) << ": " << verdict_json(verdict);
    const auto struck = [&](const lab::Fault& fault) { return fault.amount == blow.row->number; };
    return verdict.lab.has_value() ? static_cast<std::size_t>(std::ranges::count_if(verdict.lab->faults, struck)) : 0;
  }

  // each_row strikes every row of `call` at the given calls of both sides; each of them must be reached.
  static void each_row(SystemCall call, std::initializer_list<Side> sides, std::initializer_list<std::uint64_t> nths) {
    for (const ErrnoRow& row : errno_rows()) {
      for (const Side side : sides) {
        for (const std::uint64_t nth : nths) {
          if (row.call == call) {
            Verdict verdict;
            const Blow blow{&row, side, nth};
            EXPECT_GT(strike(blow, verdict), 0u) << text_of(blow) << " was not reached";
          }
        }
      }
    }
  }
};

TEST_P(ErrnoTable, Connect) {
  each_row(SystemCall::connect, {Side::client}, {1});
}

TEST_P(ErrnoTable, Accept) {
  each_row(SystemCall::accept, {Side::server}, {1});
}

TEST_P(ErrnoTable, Send) {
  each_row(SystemCall::send, {Side::client, Side::server}, {1, 7});
}

TEST_P(ErrnoTable, Receive) {
  each_row(SystemCall::receive, {Side::client, Side::server}, {1, 9});
}

TEST_P(ErrnoTable, SetOption) {
  each_row(SystemCall::set_option, {Side::client}, {1});
}

// Out of descriptors for a while: the listener waits between its tries, and takes the connection in the end.
TEST_P(ErrnoTable, AcceptWithoutDescriptorsNeitherEndsNorSpins) {
  constexpr std::uint64_t failures = 5;
  constexpr std::uint64_t rest_us_min = 1000;
  for (const ErrnoRow& row : errno_rows()) {
    if (row.call != SystemCall::accept || (row.number != EMFILE && row.number != ENFILE)) {
      continue;
    }
    Scenario scenario = talk(cell(), {&row, Side::server, 1});
    const lab::Fault first = scenario.lab.faults.front();
    for (std::uint64_t nth = 2; nth <= failures; ++nth) {
      lab::Fault& fault = scenario.lab.faults.emplace_back(first);
      fault.number = static_cast<std::uint32_t>(nth);
      fault.nth = nth;
    }
    const Verdict verdict = run_scenario(scenario);
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
    EXPECT_EQ(verdict.lab->faults.size(), failures) << row.name;
    EXPECT_GE(verdict.counters.at("lab_virtual_us"), failures * rest_us_min) << row.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Lab, ErrnoTable, testing::ValuesIn(places()),
                         [](const auto& test) { return place_text(test.param); });

}  // namespace
}  // namespace rig
