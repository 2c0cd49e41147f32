// What a scenario cannot mean, one change at a time of one that is in order; and the neighbours that are in order.
#include "harness/scenario/scenario_check.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "harness/scenario/text.h"

namespace rig {
namespace {

// ready is in order: two connections, which are opened, loaded, and echoed by nobody.
constexpr const char* ready =
    "scenario 1\n"
    "cell tls=1.2\n"
    "set connections 2\n"
    "thread client each loop\n"
    "  connect\n"
    "  await connected\n"
    "  send 10 of 100\n"
    "  await sent\n";

std::string wrong_of(const std::string& text) {
  const auto scenario = parse_scenario(text);
  if (!scenario.has_value()) {
    return "line " + std::to_string(scenario.error().line) + ": " + scenario.error().message;
  }
  return check_scenario(*scenario).value_or("");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

struct Refusal {
  const char* added;  // behind the text that is in order
  const char* sentence;
};

class Refusals : public testing::TestWithParam<Refusal> {};

TEST_P(Refusals, SayWhereAndWhy) {
  EXPECT_EQ(wrong_of(std::string(ready) + GetParam().added), GetParam().sentence);
}

constexpr Refusal refusals[] = {
    {"thread client 7 loop\n await closed\n",
     "thread 1 (client 7): there is no connection 7: the scenario has 2, counted from 0"},
    {"thread server 0 loop copies=0\n await closed\n", "thread 1 (server 0): it has 0 copies, and 1 to 1024 can be"},
    {"when server 2 data echo\n",
     "reaction 0 (server 2): there is no connection 2: the scenario has 2, counted from 0"},
    {"expect client 2 closed ok\n",
     "expectation 0 (client 2): there is no connection 2: the scenario has 2, counted from 0"},
    {"set peer plaintext\nthread server 0 loop\n await closed\n",
     "thread 1 (server 0): with 'peer plaintext' the server is a raw program, and not the subject"},
    {"set peer nobody\nthread server 0 loop\n await closed\n",
     "thread 1 (server 0): with 'peer nobody' the server is not there"},
    {"set peer plaintext_client\n",
     "thread 0 (client): with 'peer plaintext_client' the client is a raw program, and not the subject"},
    {"set peer plaintext\nthread client 0 loop\n await established\n",
     "thread 1 (client 0): step 1, await: 'established' asks the other side, which is a raw program"},
    {"set peer plaintext\nthread client 0 loop\n await peer_closed\n",
     "thread 1 (client 0): step 1, await: 'peer_closed' asks the other side, which is a raw program"},
    {"set strangers on\nset peer plaintext\n",
     "strangers are two sides of the subject's, and with 'peer plaintext' there is one"},
    {"set refused 3\n", "'refused' is 3, and there are 2 connections"},
    {"set refused 1\nset peer plaintext\n",
     "'refused' takes the listener from some connections of the subject's, and with 'peer plaintext' it has none"},
    {"set refused 1\nthread server 1 loop\n await closed\n",
     "thread 1 (server 1): nobody listens for connection 1: the last 1 are refused"},
    {"set refused 1\nthread client each loop\n await established\n",
     "thread 1 (client): step 1, await: 'established' asks the other side, which is not there: the connection is "
     "refused"},
    {"set refused 1\nthread client 1 loop\n await received 1\n",
     "thread 1 (client 1): step 1, await: 'received' waits for a side that is not there: the connection is refused"},
    {"set refused 1\nset relay on\nthread client 1 loop\n relay_stall\n",
     "thread 1 (client 1): step 1, relay_stall: a relay would take the connection that is to be refused"},
    {"set peer plaintext\nthread client 0 loop\n await received\n",
     "thread 1 (client 0): step 1, await: 'received' says no number, and how much a raw program sends is not known"},
    {"thread server 0 loop\n await received 1001\n",
     "thread 1 (server 0): step 1, await: 'received' waits for 1001 bytes, and at most 1000 will come"},
    {"thread server each loop\n await received 1001\n",
     "thread 1 (server): step 1, await: 'received' waits for 1001 bytes, and at most 1000 will come"},
    {"thread client 0 loop\n await sent 11\n",
     "thread 1 (client 0): step 1, await: 'sent' waits for 11 ops, and at most 10 will come"},
    {"thread server 0 loop\n await pending\n",
     "thread 1 (server 0): step 1, await: 'pending' waits for 0 ops, and at most 0 will come"},
    {"thread client 0 loop\n await handshakes\n",
     "thread 1 (client 0): step 1, await: 'handshakes' says no number, and 0 is always there"},
    {"thread client 0 loop\n await handshakes 2\n", "thread 1 (client 0): step 1, await: nobody does renegotiate"},
    {"thread client 0 loop\n await key_updates 1\n", "thread 1 (client 0): step 1, await: nobody does update_keys"},
    {"thread client 0 loop\n renegotiate\n",
     "thread 1 (client 0): step 1, renegotiate: without 'set renegotiation on' a renegotiation is refused"},
    {"thread client 0 loop\n update_keys\n",
     "thread 1 (client 0): step 1, update_keys: only TLS 1.3 updates its keys, and the cell has tls=1.2"},
    {"when client data update_keys\n", "reaction 0 (client): only TLS 1.3 updates its keys, and the cell has tls=1.2"},
    {"thread client 0 loop\n relay_stall\n",
     "thread 1 (client 0): step 1, relay_stall: there is no relay without 'set relay on'"},
    {"thread server 1 loop\n connect\n", "thread 1 (server 1): step 1, connect: a server does not connect"},
    {"thread client 1 beside\n connect\n",
     "thread 1 (client 1): step 1, connect: a connection is opened on its loop's thread, and this one runs beside it"},
    {"thread client 1 beside\n destroy\n",
     "thread 1 (client 1): step 1, destroy: a socket is destroyed on its loop's thread, and this one runs beside it"},
    {"thread client 1 loop\n connect\n", "client 1 connects 2 times, and a connection is opened once"},
    {"thread client 0 loop\n align 4\n await connected\n align 4\n",
     "thread 1 (client 0): step 3, align: it aligns with number 4 for the second time, and would wait for itself"},
    {"when client accepted pause\n", "reaction 0 (client): only a server's socket is accepted"},
    {"when server sent echo\n",
     "reaction 0 (server): 'echo' sends received bytes back, and the event 'sent' brings none"},
    {"when client data stop_listening\n",
     "reaction 0 (client): the listener is the server's, on another loop; only with 'one_loop' may the client close "
     "it"},
    {"set loop_per_client on\nwhen client data destroy_other\n",
     "reaction 0 (client): 'destroy_other' reaches sockets of its own loop only, and with 'loop_per_client' each has "
     "another"},
    {"expect client closed ok\nexpect client 1 closed reset\n",
     "expectation 1 (client 1): it is never asked: expectation 0 is about the same 'closed'"},
    {"reach ops >= 0\n", "'reach ops >= 0' demands nothing: every run reaches it"},
    {"fault 1 short_write amount=1\n", "the real kernel takes no faults: they need world=lab in the cell"},
    {"switches 1@20>2\n", "the real kernel takes no switches: they need world=lab in the cell"},
};
INSTANTIATE_TEST_SUITE_P(OfScenarioCheck, Refusals, testing::ValuesIn(refusals));

TEST(ScenarioCheck, RefusesWhatItsSettingsContradict) {
  const std::string text = ready;
  EXPECT_EQ(wrong_of(replaced(text, "connections 2", "connections 0")),
            "there is nothing to test without a connection, and 'connections' is 0");
  EXPECT_EQ(wrong_of(replaced(text, "connections 2", "connections 1") + "when server data destroy_other\n"),
            "reaction 0 (server): 'destroy_other' needs a second connection");
  EXPECT_EQ(wrong_of(replaced(text, "client each", "client 0") + "thread server 1 loop\n await received 5\n"),
            "thread 1 (server 1): step 1, await: 'received' waits for 5 bytes, and at most 0 will come");
  EXPECT_EQ(wrong_of(replaced(text, "client each", "client 0") + "thread server 1 loop\n await connected\n"),
            "client 1 never connects, and steps wait for its connection");
  EXPECT_EQ(wrong_of(replaced(text, "tls=1.2", "tls=1.3") + "set renegotiation on\nwhen client data renegotiate\n"),
            "reaction 0 (client): only TLS 1.2 is renegotiated, and the cell has tls=1.3");
  EXPECT_EQ(wrong_of(replaced(text, "tls=1.2", "tls=none") + "thread client 0 loop\n await handshakes 1\n"),
            "thread 1 (client 0): step 1, await: plain TCP has no handshake");
  EXPECT_EQ(wrong_of(replaced(text, "tls=1.2", "tls=1.2 world=lab") + "fault 3 reset connection=2 amount=1\n"),
            "fault 3: there is no connection 2");
}

// A text cannot say these, a program can.
TEST(ScenarioCheck, RefusesWhatNoTextCanSay) {
  const Scenario good = *parse_scenario(ready);
  const auto wrong = [&good](auto change) {
    Scenario scenario = good;
    change(scenario);
    return check_scenario(scenario).value_or("");
  };
  EXPECT_EQ(wrong([](Scenario& s) { s.settings.connections = 65537; }),
            "there are at most 65536 connections, and 'connections' is 65537");
  EXPECT_EQ(wrong([](Scenario& s) { s.threads[0].steps[2].size_min = 101; }),
            "thread 0 (client): step 3, send: no op has 101 to 100 bytes");
  EXPECT_EQ(wrong([](Scenario& s) { s.threads[0].steps[2].verb = Verb::echo; }),
            "thread 0 (client): step 3, echo: it is a reaction, and no step");
  EXPECT_EQ(wrong([](Scenario& s) { s.reactions.push_back({.connection = {}, .verb = Verb::connect}); }),
            "reaction 0 (server): 'connect' is a step, and no reaction");
  EXPECT_EQ(wrong([](Scenario& s) { s.expectations.push_back({.connection = {}, .outcomes = {}}); }),
            "expectation 0 (client): it has no outcome, so that nothing fulfils it");
  EXPECT_EQ(wrong([](Scenario& s) {
              s.expectations.push_back({.connection = {}, .event = Event::data, .outcomes = {std::nullopt}});
            }),
            "expectation 0 (client): the event 'data' has no outcome: 'connected' and 'closed' have");
}

TEST(ScenarioCheck, LetsTheNeighboursPass) {
  const std::string text = ready;
  for (const char* added : {
           "",
           "thread server 1 loop copies=3\n await received 1000\n",
           "thread server each loop\n await received\n",
           "when server data echo\nthread client 0 loop\n await received 5000\n",
           "thread client 0 loop\n await sent 10\n await pending 10\n",
           "thread client 0 loop\n await handshakes 1\n",
           "set renegotiation on\nthread client 0 loop\n renegotiate\n await handshakes 2\n",
           "set relay on\nthread client 0 loop\n relay_stall\n",
           "set peer plaintext\nexpect client connected protocol\n",
           "thread client 0 loop\n align 4\nthread server 1 loop\n align 4\n align 5\n",
           "set one_loop on\nwhen client data stop_listening\n",
           "when server data destroy_other\n",
           "expect client 1 closed reset\nexpect client closed ok\n",
           "reach no_such_counter >= 1\n",
       }) {
    EXPECT_EQ(wrong_of(text + added), "") << added;
  }
  EXPECT_EQ(wrong_of(replaced(text, "client each", "client 0")), "") << "a connection that nobody uses";
}

TEST(ScenarioCheck, CountsBeyondAllBoundsWithoutWrappingAround) {
  const std::string much = "  send 18446744073709551615 of 1000000000\n";
  EXPECT_EQ(wrong_of(std::string(ready) + much + much + "thread server 0 loop\n await received 18446744073709551615\n"),
            "");
}

}  // namespace
}  // namespace rig
