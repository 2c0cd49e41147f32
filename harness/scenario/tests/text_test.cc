#include "harness/scenario/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace rig {
namespace {

Scenario read(const std::string& text) {
  auto parsed = parse_scenario(text);
  if (!parsed.has_value()) {
    ADD_FAILURE() << parsed.error().line << ":" << parsed.error().column << ": " << parsed.error().message;
    return {};
  }
  return *parsed;
}

// The example of text.h, with each kind of line.
constexpr const char* example_text =
    "scenario 1\n"
    "suite close_with_pending\n"
    "seed 17\n"
    "size tiny\n"
    "cell subject=house client=openssl server=gnutls tls=1.2 auth=psk world=loopback poller=epoll fast_track=off "
    "nodelay_client=on nodelay_server=on ipv6=off\n"
    "set connections 2\n"
    "set relay on\n"
    "set peer plaintext\n"
    "set kernel_send_bytes 4096\n"
    "when server data #3 pause\n"
    "when server 1 data echo\n"
    "expect client closed aborted\n"
    "expect client 0 connected ok|reset\n"
    "allow failed_ops\n"
    "allow undelivered\n"
    "allow no_memory\n"
    "reach pending_at_close >= 1\n"
    "thread client each loop copies=3\n"
    "  connect\n"
    "  await connected\n"
    "  align 4\n"
    "  send 200 of 0..65537\n"
    "  send 3 of 512 more\n"
    "  await pending 1\n"
    "  await sent\n"
    "  close_graceful\n"
    "thread server 1 beside\n"
    "  await closed\n";

Scenario example() {
  Scenario s;
  s.suite = "close_with_pending";
  s.seed = 17;
  s.size = Size::tiny;
  s.cell.server = "gnutls";
  s.cell.fast_track = false;
  s.settings.connections = 2;
  s.settings.relay = true;
  s.settings.peer = Peer::plaintext;
  s.settings.kernel_send_bytes = 4096;
  s.reactions = {{Side::server, {}, Event::data, 3, Verb::pause}, {Side::server, 1, Event::data, 0, Verb::echo}};
  s.expectations = {{Side::client, {}, Event::closed, {Code::aborted}},
                    {Side::client, 0, Event::connected, {std::nullopt, Code::reset}}};
  s.ops_may_fail = true;
  s.all_delivered = false;
  s.memory_may_fail = true;
  s.reaches = {{"pending_at_close", 1}};
  Thread client{Side::client, {}, Where::loop, 3, {}};
  client.steps = {{.verb = Verb::connect},
                  {.verb = Verb::await, .condition = Condition::connected},
                  {.verb = Verb::align, .count = 4},
                  {.verb = Verb::send, .count = 200, .size_min = 0, .size_max = 65537},
                  {.verb = Verb::send, .count = 3, .size_min = 512, .size_max = 512, .more = true},
                  {.verb = Verb::await, .condition = Condition::pending, .count = 1},
                  {.verb = Verb::await, .condition = Condition::sent},
                  {.verb = Verb::close_graceful}};
  Thread server{Side::server, 1, Where::beside, 1, {{.verb = Verb::await, .condition = Condition::closed}}};
  s.threads = {client, server};
  return s;
}

TEST(ScenarioTextTest, TheExampleIsPrintedAsItStands) {
  EXPECT_EQ(print_scenario(example()), example_text);
}

TEST(ScenarioTextTest, TheExampleIsReadAsItIsMeant) {
  EXPECT_EQ(read(example_text), example());
}

TEST(ScenarioTextTest, OfDefaultsOnlyTheCellIsPrinted) {
  EXPECT_EQ(print_scenario(Scenario{}),
            "scenario 1\n"
            "cell subject=house client=openssl server=openssl tls=1.2 auth=psk world=loopback poller=epoll "
            "fast_track=on nodelay_client=on nodelay_server=on ipv6=off\n");
}

TEST(ScenarioTextTest, TheFirstLineAloneIsTheDefaultScenario) {
  EXPECT_EQ(read("scenario 1"), Scenario{});
  EXPECT_EQ(read("\n# by hand\n\n\tscenario   1 # grammar\n\n"), Scenario{});
}

TEST(ScenarioTextTest, LineEndsMayBeCrLf) {
  std::string text = example_text;
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2)) {
    text.insert(at, "\r");
  }
  EXPECT_EQ(read(text), example());
}

TEST(ScenarioTextTest, ACommentEndsALineAndAnOccurrenceIsNoComment) {
  const Scenario s =
      read("scenario 1\nwhen client data #2 pause # pjproject#4878\nwhen client data pause # 2 of them\n");
  ASSERT_EQ(s.reactions.size(), 2u);
  EXPECT_EQ(s.reactions[0].nth, 2u);
  EXPECT_EQ(s.reactions[1].nth, 0u);
}

TEST(ScenarioTextTest, AShortCellLineLeavesTheRestAtItsDefaults) {
  Scenario expected;
  expected.cell.client = "gnutls";
  expected.cell.tls = TlsChoice::tls13;
  EXPECT_EQ(read("scenario 1\ncell tls=1.3 client=gnutls\n"), expected);
}

TEST(ScenarioTextTest, LinesOfAnyKindMayFollowAThread) {
  const Scenario s = read("scenario 1\nthread client 0 loop\nconnect\nseed 5\nthread client 0 loop\ndestroy\n");
  EXPECT_EQ(s.seed, 5u);
  ASSERT_EQ(s.threads.size(), 2u);
  EXPECT_EQ(s.threads[1].steps, std::vector<Step>{{.verb = Verb::destroy}});
}

TEST(ScenarioTextTest, NamesThatAreNoWordsAreQuoted) {
  Scenario s;
  s.suite = "two words";
  s.cell.subject = "./mine.so";
  s.cell.client = "";
  s.cell.server = std::string("a\"b\\c\n\0\xff#=", 10);
  s.reaches = {{"", 2}};
  const std::string text = print_scenario(s);
  EXPECT_NE(text.find("suite \"two words\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(subject=./mine.so client="" server="a\"b\\c\n\x00\xff#=")"), std::string::npos) << text;
  EXPECT_NE(text.find("reach \"\" >= 2\n"), std::string::npos) << text;
  EXPECT_EQ(read(text), s);
}

TEST(ScenarioTextTest, TheLargestNumbersAreReadExactly) {
  const Scenario s = read("scenario 1\nseed 18446744073709551615\nset queue_ops 4294967295\nset connections 65536\n");
  EXPECT_EQ(s.seed, 18446744073709551615u);
  EXPECT_EQ(s.settings.queue_ops, 4294967295u);
  EXPECT_EQ(s.settings.connections, 65536u);
}

// Lists may be exactly as long as their limit, and no longer.
struct Limit {
  const char* head;
  const char* line;
  std::size_t max;
  const char* message;
};

class ScenarioTextLimitTest : public testing::TestWithParam<Limit> {};

TEST_P(ScenarioTextLimitTest, IsExact) {
  const Limit& limit = GetParam();
  std::string text = std::string("scenario 1\n") + limit.head;
  const auto head_lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  for (std::size_t i = 0; i < limit.max; ++i) {
    text += limit.line;
  }
  EXPECT_TRUE(parse_scenario(text).has_value());
  const auto refused = parse_scenario(text + limit.line);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message, limit.message);
  EXPECT_EQ(refused.error().line, head_lines + limit.max + 1);
}

INSTANTIATE_TEST_SUITE_P(
    Lists, ScenarioTextLimitTest,
    testing::Values(
        Limit{"", "when client data echo\n", TextLimits::reactions, "too many reactions: a text has at most 4096"},
        Limit{"", "thread client 0 loop\n", TextLimits::threads, "too many threads: a text has at most 4096"},
        Limit{"thread client 0 loop\n", "pause\n", TextLimits::steps, "too many steps: a text has at most 65536"},
        Limit{"", "expect client closed ok\n", TextLimits::expectations,
              "too many expectations: a text has at most 16384"},
        Limit{"", "reach a >= 1\n", TextLimits::reaches, "too many situations to reach: a text has at most 1024"}));

TEST(ScenarioTextTest, ATextMayHaveOneMebibyteAndNoByteMore) {
  std::string text = "scenario 1\n";
  text += "#" + std::string(TextLimits::bytes - text.size() - 1, ' ');
  EXPECT_TRUE(parse_scenario(text).has_value());
  const auto refused = parse_scenario(text + " ");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message, "the text has 1048577 bytes; a scenario has at most 1048576");
}

}  // namespace
}  // namespace rig
