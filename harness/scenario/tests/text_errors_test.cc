// What a person reads after a mistake: the place, what was met, and what could stand there.
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "harness/scenario/text.h"

namespace rig {
namespace {

struct Mistake {
  const char* name;
  std::string text;  // behind "scenario 1\n", but for those whose name begins with First
  const char* refusal;
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.name;
}

class ScenarioTextErrorTest : public testing::TestWithParam<Mistake> {};

TEST_P(ScenarioTextErrorTest, SaysWhereAndWhat) {
  const Mistake& mistake = GetParam();
  const bool whole = std::string(mistake.name).starts_with("First");
  const auto parsed = parse_scenario((whole ? "" : "scenario 1\n") + mistake.text);
  ASSERT_FALSE(parsed.has_value());
  const SyntaxError& error = parsed.error();
  EXPECT_EQ(std::to_string(error.line) + ":" + std::to_string(error.column) + ": " + error.message, mistake.refusal);
}

const std::string connect_thread = "thread client each loop\n  connect\n";

const Mistake mistakes[] = {
    {"LabTwice", "lab policy=pct policy=none\n", "2:16: 'policy' stands here for the second time"},
    {"LabUnknownPolicy", "lab policy=fair\n",
     "2:12: met 'fair' where the value of policy should stand: one of by_seed, uniform, sticky10, sticky1, pct, none"},
    {"LabDescriptorTooHigh", "lab first_descriptor=1000001\n",
     "2:22: '1000001' is too large for the value of first_descriptor, which is at most 1000000"},
    {"FaultWithoutKind", "fault 1\n",
     "2:8: met nothing where what goes wrong should stand: one of short_write, short_read, would_block, interrupted, "
     "error, reset, delay, split, coalesce, sync_connect, no_memory, errno_noise, spurious, option, stop, block"},
    {"FaultWordTwice", "fault 1 reset amount=3 amount=4\n", "2:24: 'amount' stands here for the second time"},
    {"SwitchWithoutNext", "switches 1@20>2 2@30\n",
     "2:17: met '2@30' where a switch, as 2@153>1 (thread 2 gives way to thread 1 at its step 153), should stand"},
    {"SwitchesWithoutAny", "switches\n",
     "2:9: met nothing where a switch, as 2@153>1 (thread 2 gives way to thread 1 at its step 153), should stand"},
    {"RecordedWithAShortHash", "recorded 7 events schedule 12ab bytes 0000000000000000\n",
     "2:28: met '12ab' where the hash of the schedule (16 hexadecimal digits) should stand"},
    {"FirstLineOfNothing", "", "1:1: there is no scenario in this text; its first line is 'scenario 1'"},
    {"FirstLineOfCommentsOnly", "# nothing\n\n",
     "1:1: there is no scenario in this text; its first line is 'scenario 1'"},
    {"FirstLineMissing", "# mine\nsuite a\n", "2:1: met 'suite' where the first line, 'scenario 1', should stand"},
    {"FirstLineOfANewerGrammar", "scenario 2\nwarp 9\n",
     "1:10: this text is in version 2 of the grammar, and this tlsrig reads version 1; a newer tlsrig reads it"},
    {"FirstLineOfAGrammarThatNeverWas", "scenario 0\n",
     "1:10: this text is in version 0 of the grammar, and this tlsrig reads version 1"},
    {"FirstLineWithoutVersion", "scenario\n",
     "1:9: met nothing where the version of the grammar should stand: a number from 0 to 18446744073709551615"},
    {"FirstLineTwice", "scenario 1\nscenario 1\n",
     "2:1: 'scenario' stands here for the second time; one text is one scenario"},
    {"UnknownLine", "threat client each loop\n",
     "2:1: met 'threat' where the first word of a line should stand: one of suite, seed, size, cell, set, when, "
     "expect, "
     "allow, reach, thread, lab, fault, switches, recorded (did you mean 'thread'?)"},
    {"UnknownStep", connect_thread + "  algin 2\n",
     "4:3: met 'algin' where a step or the first word of a line should stand: one of close_graceful, close_abort, "
     "half_close, destroy, pause, resume, renegotiate, update_keys, connect, send, await, align, relay_stall, "
     "relay_flow, relay_reset, relay_fin, suite, seed, size, cell, set, when, expect, allow, reach, thread, lab, "
     "fault, "
     "switches, recorded (did you mean 'align'?)"},
    {"StepOutsideAThread", "  connect\n", "2:3: 'connect' is a step, and steps stand under a 'thread' line"},
    {"StepBehindAnotherLine", connect_thread + "seed 3\n  pause\n",
     "5:3: 'pause' is a step, and steps stand under a 'thread' line"},
    {"StepAsReaction", "when client data send\n",
     "2:18: met 'send' where the verb of a reaction should stand: one of close_graceful, close_abort, half_close, "
     "destroy, pause, resume, renegotiate, update_keys, echo, echo_elsewhere, destroy_other, stop_listening, say, "
     "open_another"},
    {"ReactionAsStep", connect_thread + "  echo_elsewhere\n",
     "4:3: met 'echo_elsewhere' where a step or the first word of a line should stand: one of close_graceful, "
     "close_abort, half_close, destroy, pause, resume, renegotiate, update_keys, connect, send, await, align, "
     "relay_stall, relay_flow, relay_reset, relay_fin, suite, seed, size, cell, set, when, expect, allow, reach, "
     "thread, lab, fault, switches, recorded"},
    {"UnknownSide", "thread clint each loop\n",
     "2:8: met 'clint' where a side should stand: one of client, server (did you mean 'client'?)"},
    {"ThreadWithoutConnection", "thread client loop\n",
     "2:15: met 'loop' where 'each' or the number of a connection should stand"},
    {"ThreadWithoutPlace", "thread client each\n",
     "2:19: met nothing where the place of the thread should stand: one of loop, beside"},
    {"TooManyCopies", "thread client each loop copies=1025\n",
     "2:32: '1025' is too large for the number of copies, which is at most 1024"},
    {"UnknownThreadWord", "thread client each loop twice\n",
     "2:25: met 'twice' where 'copies=N' or the end of the line should stand"},
    {"UnknownSetting", "set kernel_send_byte 1\n",
     "2:5: met 'kernel_send_byte' where a setting should stand: one of connections, loop_per_client, one_loop, relay, "
     "fresh_process, peer, refused, renegotiation, strangers, queue_ops, queue_bytes, kernel_send_bytes, "
     "kernel_recv_bytes, says, connect_timeout_us, handshake_timeout_us, close_timeout_us (did you mean "
     "'kernel_send_bytes'?)"},
    {"SettingTwice", "set relay on\nseed 3\nset relay off\n",
     "4:5: 'set relay' stands here for the second time; the first is in line 2"},
    {"SwitchThatIsNone", "set relay yes\n", "2:11: met 'yes' where the value of relay should stand: one of off, on"},
    {"NumberTooLarge", "seed 18446744073709551616\n",
     "2:6: '18446744073709551616' is too large for the seed, which is at most 18446744073709551615"},
    {"NumberTooLargeForItsSetting", "set connections 65537\n",
     "2:17: '65537' is too large for the value of connections, which is at most 65536"},
    {"NumberBelowZero", "seed -1\n",
     "2:6: met '-1' where the seed should stand: a number from 0 to 18446744073709551615"},
    {"NumberWithAUnit", "set close_timeout_us 5s\n",
     "2:22: met '5s' where the value of close_timeout_us should stand: a number from 0 to 18446744073709551615"},
    {"CellTwice", "cell client=gnutls\ncell server=gnutls\n",
     "3:1: 'cell' stands here for the second time; the first is in line 2"},
    {"CellWordTwice", "cell tls=1.2 client=gnutls tls=1.3\n",
     "2:28: 'tls' of the cell stands here for the second time; the first is in line 2"},
    {"CellWordUnknown", "cell polar=epoll\n",
     "2:6: met 'polar' where a word of the cell (word=value) should stand: one of subject, client, server, tls, auth, "
     "world, poller, fast_track, nodelay_client, nodelay_server, ipv6 (did you mean 'poller'?)"},
    {"CellWordWithoutValue", "cell client\n", "2:12: 'client' has no value; here stands client=value"},
    {"CellWithAWrongVersion", "cell tls=1.1\n",
     "2:10: met '1.1' where the value of tls should stand: one of none, 1.2, 1.3 (did you mean '1.2'?)"},
    {"UnknownEvent", "when server 1 date echo\n",
     "2:15: met 'date' where an event should stand: one of accepted, connected, data, ended, sent, writable, closed "
     "(did "
     "you mean 'data'?)"},
    {"OccurrenceZero", "when server data #0 echo\n",
     "2:18: occurrences count from #1; for every one leave the number out"},
    {"EventThatCannotBeExpected", "expect client sent ok\n",
     "2:15: met 'sent' where an event that can be expected should stand: one of connected, closed"},
    {"UnknownOutcome", "expect client closed ok|rest\n",
     "2:25: met 'rest' where an outcome should stand: one of ok, closed, clean_end, truncated, reset, refused, "
     "unreachable, timeout, aborted, verification_failed, handshake_failed, protocol, peer_alert, unsupported, "
     "invalid_argument, invalid_state, would_block, no_memory, no_descriptors, address_in_use, refused_by_system, "
     "internal (did you mean 'reset'?)"},
    {"OutcomeMissing", "expect client closed ok|\n",
     "2:25: met nothing where an outcome should stand: one of ok, closed, clean_end, truncated, reset, refused, "
     "unreachable, timeout, aborted, verification_failed, handshake_failed, protocol, peer_alert, unsupported, "
     "invalid_argument, invalid_state, would_block, no_memory, no_descriptors, address_in_use, refused_by_system, "
     "internal"},
    {"AllowedWhatIsNot", "allow failures\n",
     "2:7: met 'failures' where something to allow should stand: one of failed_ops, undelivered, no_memory"},
    {"ReachWithAnotherSign", "reach ops > 3\n", "2:11: met '>' where '>=' should stand"},
    {"SendWithoutOf", connect_thread + "  send 3 x 512\n", "4:10: met 'x' where 'of' should stand"},
    {"SendFromLargeToSmall", connect_thread + "  send 3 of 9..8\n",
     "4:13: '9..8' is no range: the smaller size stands first"},
    {"SendOfHalfARange", connect_thread + "  send 3 of 9..\n",
     "4:16: met nothing where the larger size in bytes should stand: a number from 0 to 1073741824"},
    {"UnknownCondition", connect_thread + "  await conected\n",
     "4:9: met 'conected' where a condition should stand: one of connected, established, sent, received, pending, "
     "handshakes, key_updates, ended, closed, peer_closed (did you mean 'connected'?)"},
    {"ConditionWithoutNumber", connect_thread + "  await closed 2\n",
     "4:16: met '2' where the line should end: 'closed' takes no number"},
    {"AlignWithoutNumber", connect_thread + "  align\n",
     "4:8: met nothing where the number of the alignment should stand: a number from 0 to 18446744073709551615"},
    {"MoreWords", "seed 3 4\n", "2:8: met '4' where the line should end"},
    {"CommentThatLooksLikeAnOccurrence", "seed 3 #4878\n",
     "2:8: met '#4878' where the line should end; a comment that begins with a digit needs a blank behind its #"},
    {"NameWithABlank", "suite two words\n", "2:11: met 'words' where the line should end"},
    {"NameWithWrongLetters", "suite caf\xc3\xa9\n",
     "2:7: met 'caf\\xc3\\xa9' where the name of a suite should stand: letters, digits and _ . / - or anything in "
     "double quotes"},
    {"QuoteWithoutEnd", "suite \"two words\n", "2:7: the quote that begins here has no end on its line"},
    {"QuoteThatGoesOn", "suite \"two\"words\n",
     "2:7: met '\"two\"words' where the name of a suite should stand: a blank belongs behind the quote"},
    {"EscapeThatIsNone", "suite \"a\\q\"\n",
     "2:9: unknown escape in '\"a\\q\"'; after a backslash can stand \", \\, n, t, r or x and two hexadecimal digits"},
    {"NulByte", std::string("seed \0", 6) + "3\n", "2:6: met a NUL byte; a scenario is plain text"},
    {"ControlCharacter", "seed\x01 3\n",
     "2:5: met the control character '\\x01'; words are separated by blanks and tabs"},
    {"CarriageReturnWithin", "seed\r3\n",
     "2:5: met the control character '\\r'; words are separated by blanks and tabs"},
    {"AWordOfAThousandLetters", std::string(1000, 'w') + "\n",
     "2:1: met 'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww...' where the first word of a line should stand: one of "
     "suite, "
     "seed, size, cell, set, when, expect, allow, reach, thread, lab, fault, switches, recorded"},
};

INSTANTIATE_TEST_SUITE_P(Mistakes, ScenarioTextErrorTest, testing::ValuesIn(mistakes),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace rig
