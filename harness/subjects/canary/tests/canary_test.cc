#include "harness/subjects/canary/canary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/oracle/hygiene_probe.h"
#include "harness/oracle/op_ledger.h"
#include "harness/oracle/stream_check.h"
#include "harness/subjects/canary/tests/fake_subject.h"

namespace rig {
namespace {

constexpr std::uint32_t connections = 3;

// Line is one thing that an app saw: a callback, or what send answered.
struct Line {
  std::string what;
  std::uint64_t token = 0;
  std::size_t bytes = 0;
  int status = 0;
  Bytes data;
  friend bool operator==(const Line&, const Line&) = default;
};
using Transcript = std::vector<Line>;

// Record is what a whole run showed.
struct Record {
  std::map<std::string, Transcript> transcripts;  // by end: "client 0"
  std::vector<Violation> violations;
  bool struck = false;

  std::set<Law> laws() const {
    std::set<Law> laws;
    for (const Violation& violation : violations) {
      laws.insert(violation.law);
    }
    return laws;
  }
};

// End is the app's side of one socket, with all oracles of the app door.
struct End {
  End(std::string end_name, std::uint64_t stream, ViolationLog& log)
      : name(std::move(end_name)),
        ledger(name, OpLedger::Order::promised, log),
        incoming(stream ^ 1, name, log),
        probe(name, log),
        outgoing_stream(stream) {}

  std::string name;
  rig_socket* socket = nullptr;
  End* peer = nullptr;
  Transcript transcript;
  OpLedger ledger;
  StreamCheck incoming;
  HygieneProbe probe;
  std::uint64_t outgoing_stream;
};

int status_of(const rig_error* error) {
  return error == nullptr ? 0 : error->status;
}

const rig_socket_callbacks end_callbacks{
    .connected =
        [](void* user, const rig_error* error) {
          auto& end = *static_cast<End*>(user);
          end.transcript.push_back({"connected", 0, 0, status_of(error), {}});
          end.ledger.callback("connected");
        },
    .data =
        [](void* user, const std::uint8_t* bytes, std::size_t count) {
          auto& end = *static_cast<End*>(user);
          end.transcript.push_back({"data", 0, count, 0, Bytes(bytes, bytes + count)});
          end.ledger.callback("data");
          end.incoming.received({bytes, count});
        },
    .ended = [](void* user) { static_cast<End*>(user)->ledger.callback("ended"); },
    .sent =
        [](void* user, std::uint64_t token, std::size_t bytes, const rig_error* error) {
          auto& end = *static_cast<End*>(user);
          end.transcript.push_back({"sent", token, bytes, status_of(error), {}});
          end.ledger.completed(token, bytes, error == nullptr ? std::nullopt : std::optional(Error(Code::reset)));
        },
    .writable = [](void* user) { static_cast<End*>(user)->ledger.callback("writable"); },
    .closed =
        [](void* user, const rig_error* error) {
          auto& end = *static_cast<End*>(user);
          end.transcript.push_back({"closed", 0, 0, status_of(error), {}});
          end.ledger.closed();
        },
};

// Play is one run: three connections, six ops from each end of each, then three more that stay pending because nobody
// reads, then an abort.
class Play {
 public:
  Play(const rig_subject& subject, bool fast_track) : subject_(subject) {
    const rig_loop_config config{RIG_POLLER_POLL, fast_track ? 1u : 0u};
    for (rig_loop*& loop : loops_) {
      EXPECT_EQ(subject_.loop_create(&config, &loop, nullptr), RIG_OK);
    }
    for (std::uint32_t i = 0; i < connections; ++i) {
      clients_.push_back(std::make_unique<End>("client " + std::to_string(i), 2 * i, log_));
      servers_.push_back(std::make_unique<End>("server " + std::to_string(i), 2 * i + 1, log_));
      clients_[i]->peer = servers_[i].get();
      servers_[i]->peer = clients_[i].get();
    }
  }

  Record run() {
    open();
    for (std::size_t round = 0; round < 3; ++round) {
      for_each_end([&](End& end) {
        send(end, 10 + round);
        send(end, 1 + round);
      });
      turn();
    }
    for_each_end([&](End& end) { subject_.pause(end.socket, nullptr); });
    for_each_end([&](End& end) {
      for (int i = 0; i < 3; ++i) {
        send(end, 16);
      }
    });
    turn();
    for (const auto& client : clients_) {
      subject_.close(client->socket, RIG_CLOSE_ABORT, nullptr);
    }
    turn();
    for_each_end([&](End& end) { subject_.destroy(end.socket); });
    end();
    Record record;
    for_each_end([&](End& end) {
      end.ledger.quiet();
      end.incoming.finish(false, 0);
      record.transcripts[end.name] = end.transcript;
    });
    record.violations = log_.kept();
    record.struck = canary_struck();
    return record;
  }

 private:
  template <class Call>
  void for_each_end(Call call) {
    for (std::uint32_t i = 0; i < connections; ++i) {
      call(*clients_[i]);
      call(*servers_[i]);
    }
  }

  void open() {
    const rig_listener_callbacks accepting{[](void* user, rig_socket* socket) {
      auto& play = *static_cast<Play*>(user);
      End& end = *play.servers_[play.accepted_++];
      end.socket = socket;
      play.subject_.adopt(socket, &end_callbacks, &end);
    }};
    EXPECT_EQ(subject_.listen(loops_[1], nullptr, "127.0.0.1", 4433, nullptr, &accepting, this, &listener_, nullptr),
              RIG_OK);
    for (const auto& client : clients_) {
      EXPECT_EQ(subject_.connect(loops_[0], nullptr, "127.0.0.1", 4433, nullptr, &end_callbacks, client.get(),
                                 &client->socket, nullptr),
                RIG_OK);
    }
    turn();
  }

  void turn() {
    for (int i = 0; i < 3; ++i) {
      for (rig_loop* loop : loops_) {
        subject_.loop_turn(loop, 0, nullptr);
      }
    }
  }

  void send(End& end, std::size_t bytes) {
    const std::uint64_t token = ++token_;
    Bytes payload(bytes);
    position_code(end.outgoing_stream, token, payload);
    end.ledger.issue(token, bytes);
    end.peer->incoming.issue(token, bytes);
    const rig_send_result result = subject_.send(end.socket, token, payload.data(), bytes, 0, nullptr);
    end.transcript.push_back({"send", token, bytes, result, {}});
    end.ledger.answered(token, result == RIG_SEND_COMPLETED ? OpLedger::Answer::completed
                               : result == RIG_SEND_PENDING ? OpLedger::Answer::pending
                                                            : OpLedger::Answer::refused);
    end.peer->incoming.answered(token, result != RIG_SEND_REFUSED);
    end.probe.after("send");
  }

  void end() {
    subject_.listener_close(listener_);
    for (std::size_t side = 0; side < loops_.size(); ++side) {
      rig_loop_counts counts{};
      subject_.loop_counts(loops_[side], &counts);
      EXPECT_EQ(counts.open, 0u);
      if (counts.listeners + counts.undestroyed + counts.registrations > 0) {
        log_.report(Law::c6_quiet, side == 0 ? "client loop" : "server loop", "something is left");
      }
      subject_.loop_destroy(loops_[side]);
    }
    EXPECT_EQ(fake_sockets(), 0);
  }

  const rig_subject& subject_;
  ViolationLog log_;
  std::array<rig_loop*, 2> loops_{};
  rig_listener* listener_ = nullptr;
  std::vector<std::unique_ptr<End>> clients_;
  std::vector<std::unique_ptr<End>> servers_;
  std::uint32_t accepted_ = 0;
  std::uint64_t token_ = 0;
};

Record play(const rig_subject* subject, bool fast_track = false) {
  return Play(*subject, fast_track).run();
}

// nth is the place of the n-th line (from 1) for which `fits` holds.
template <class Fits>
std::size_t nth(const Transcript& lines, std::uint64_t n, Fits fits) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (fits(lines[i]) && --n == 0) {
      return i;
    }
  }
  ADD_FAILURE() << "the baseline has no such line";
  return 0;
}

// spoiled_stream does to the bytes of one `data` what an S1 canary does.
void spoiled_stream(Canary which, Bytes& bytes) {
  const auto middle = bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2);
  if (which == Canary::s1_changed) {
    *middle ^= 1;
  } else if (which == Canary::s1_lost) {
    bytes.erase(middle);
  } else if (which == Canary::s1_doubled) {
    bytes.insert(middle, std::uint8_t{*middle});
  } else {
    std::ranges::rotate(bytes, middle);
  }
}

// spoiled is what the victim must show, made from what it shows unspoiled.
Transcript spoiled(Canary which, std::uint64_t moment, Transcript lines) {
  const auto is = [](const char* what) { return [what](const Line& line) { return line.what == what; }; };
  const auto at = [&](std::size_t place) { return lines.begin() + static_cast<std::ptrdiff_t>(place); };
  const std::size_t sent = nth(lines, moment, is("sent"));
  const std::size_t data = nth(lines, moment, is("data"));
  const std::size_t closed = nth(lines, 1, is("closed"));
  const auto respell = [&](std::size_t place, auto change) {
    change(lines[place].data);
    lines[place].bytes = lines[place].data.size();
    if (lines[place].data.empty()) {
      lines.erase(at(place));
    }
  };
  switch (which) {
    case Canary::none:
    case Canary::c6_registration_left:
    case Canary::c6_listener_left:
    case Canary::c6_undestroyed:
    case Canary::h1_entry_left:
      break;
    case Canary::c1_lost:
      lines.erase(at(sent));
      break;
    case Canary::c1_twice:
      lines.insert(at(sent), Line(lines[sent]));
      break;
    case Canary::c1_wrong_token:
      lines[sent].token = ~lines[sent].token;
      break;
    case Canary::c1_connected_twice:
      lines.insert(lines.begin(), Line(lines.front()));
      break;
    case Canary::c2_callback_too:
      lines[nth(lines, moment, is("send"))].status = RIG_SEND_COMPLETED;
      break;
    case Canary::c3_data_after_closed:
      lines.push_back({"data", 0, 0, 0, {}});
      break;
    case Canary::c3_data_before_connected:
      lines.insert(lines.begin(), {"data", 0, 0, 0, {}});
      break;
    case Canary::c4_swapped:
      // Two ops go out in a turn: from the second on, the first pair is the next turn's.
      std::iter_swap(at(nth(lines, moment == 1 ? 1 : 3, is("sent"))), at(nth(lines, moment == 1 ? 2 : 4, is("sent"))));
      break;
    case Canary::c5_short:
      --lines[sent].bytes;
      break;
    case Canary::c5_success_for_failure: {
      const std::size_t failed =
          nth(lines, moment, [](const Line& line) { return line.what == "sent" && line.status != 0; });
      lines[failed].status = 0;
      lines[failed].bytes = 16;
      break;
    }
    case Canary::c6_never_closed:
      lines.erase(at(closed));
      break;
    case Canary::s1_changed:
    case Canary::s1_lost:
    case Canary::s1_doubled:
      respell(data, [which](Bytes& bytes) { spoiled_stream(which, bytes); });
      break;
    case Canary::s1_swapped:
      respell(nth(lines, moment, [](const Line& line) { return line.what == "data" && line.bytes >= 2; }),
              [which](Bytes& bytes) { spoiled_stream(which, bytes); });
      break;
  }
  return lines;
}

std::string victim_name(CanarySide side, std::uint32_t index) {
  return (side == CanarySide::client ? "client " : "server ") + std::to_string(index);
}

TEST(CanaryTest, TheFakeSubjectKeepsAllLaws) {
  for (const bool fast_track : {false, true}) {
    const Record record = play(fake_subject(), fast_track);
    EXPECT_TRUE(record.violations.empty()) << record.violations[0].message;
    const Transcript& client = record.transcripts.at("client 1");
    const auto count = [&](int status) {
      return std::ranges::count_if(client,
                                   [&](const Line& line) { return line.what == "sent" && line.status == status; });
    };
    EXPECT_EQ(count(RIG_OK), fast_track ? 0 : 6);
    EXPECT_EQ(count(RIG_ABORTED), 3);
    EXPECT_EQ(client.back().what, "closed");
  }
}

TEST(CanaryTest, TheWrapperAloneChangesNothing) {
  for (const bool fast_track : {false, true}) {
    const Record plain = play(fake_subject(), fast_track);
    for (const CanarySide side : {CanarySide::client, CanarySide::server}) {
      const Record wrapped = play(make_canary(fake_subject(), Canary::none, 1, 1, side), fast_track);
      EXPECT_EQ(wrapped.transcripts, plain.transcripts);
      EXPECT_TRUE(wrapped.violations.empty());
      EXPECT_FALSE(wrapped.struck);
    }
  }
}

class EachCanaryTest : public testing::TestWithParam<CanaryKind> {
 protected:
  // The first failed op tells nothing: it takes an op behind a failed one to know a success for a lie.
  static std::uint64_t first_moment() { return GetParam().canary == Canary::c5_success_for_failure ? 2 : 1; }
};

TEST_P(EachCanaryTest, ChangesOneThingAtOneSocketAndItsLawAloneReports) {
  const Record plain = play(fake_subject());
  for (const CanarySide side : {CanarySide::client, CanarySide::server}) {
    for (std::uint32_t index = 0; index < connections; ++index) {
      for (std::uint64_t moment = first_moment(); moment <= 3; ++moment) {
        const std::string victim = victim_name(side, index);
        SCOPED_TRACE(std::string(GetParam().name) + " at " + victim + ", moment " + std::to_string(moment));
        const Record record = play(make_canary(fake_subject(), GetParam().canary, index, moment, side));
        EXPECT_TRUE(record.struck);
        auto expected = plain.transcripts;
        expected[victim] = spoiled(GetParam().canary, moment, expected[victim]);
        EXPECT_TRUE(record.transcripts == expected);
        EXPECT_EQ(record.laws(), std::set<Law>{GetParam().law});
        for (const Violation& violation : record.violations) {
          const bool of_loop = violation.where == (side == CanarySide::client ? "client loop" : "server loop");
          EXPECT_TRUE(violation.where == victim || of_loop) << violation.where << ": " << violation.message;
        }
      }
    }
  }
}

TEST_P(EachCanaryTest, WithoutItsSocketNothingChanges) {
  const Record plain = play(fake_subject());
  const Record record = play(make_canary(fake_subject(), GetParam().canary, connections, 1));
  EXPECT_FALSE(record.struck);
  EXPECT_EQ(record.transcripts, plain.transcripts);
  EXPECT_TRUE(record.violations.empty());
}

TEST_P(EachCanaryTest, BeforeItsMomentNothingChanges) {
  const std::set<Canary> momentless{
      Canary::c1_connected_twice, Canary::c3_data_after_closed, Canary::c3_data_before_connected,
      Canary::c6_never_closed,    Canary::c6_registration_left, Canary::c6_listener_left,
      Canary::c6_undestroyed};
  const Record plain = play(fake_subject());
  const Record record = play(make_canary(fake_subject(), GetParam().canary, 1, 1000));
  EXPECT_EQ(record.struck, momentless.contains(GetParam().canary));
  EXPECT_EQ(record.transcripts == plain.transcripts && record.violations.empty(), !record.struck);
}

INSTANTIATE_TEST_SUITE_P(All, EachCanaryTest, testing::ValuesIn(canaries().begin(), canaries().end()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(CanaryTest, ACallbackFollowsAnOpThatReallyCompletedAtOnce) {
  const Record plain = play(fake_subject(), true);
  const Record record = play(make_canary(fake_subject(), Canary::c2_callback_too, 1, 4), true);
  EXPECT_TRUE(record.struck);
  EXPECT_EQ(record.laws(), std::set<Law>{Law::c2_return_or_callback});
  Transcript lines = record.transcripts.at("client 1");
  std::vector<Line> sends;
  std::ranges::copy_if(lines, std::back_inserter(sends), [](const Line& line) { return line.what == "send"; });
  const Line& fourth = sends.at(3);
  EXPECT_EQ(fourth.status, RIG_SEND_COMPLETED);
  const Line extra{"sent", fourth.token, fourth.bytes, 0, {}};
  EXPECT_EQ(std::erase(lines, extra), 1u);
  EXPECT_EQ(lines, plain.transcripts.at("client 1"));
}

TEST(CanaryTest, EveryCanaryButNoneIsListedOnce) {
  std::set<Canary> listed;
  std::set<Law> laws;
  for (const CanaryKind& kind : canaries()) {
    EXPECT_TRUE(listed.insert(kind.canary).second);
    EXPECT_EQ(kind.name.substr(0, 1), law_name(kind.law).substr(0, 1) == "C"   ? "c"
                                      : law_name(kind.law).substr(0, 1) == "S" ? "s"
                                                                               : "h");
    EXPECT_EQ(kind.name[1], law_name(kind.law)[1]);
    laws.insert(kind.law);
  }
  EXPECT_EQ(listed.size(), static_cast<std::size_t>(Canary::h1_entry_left));
  EXPECT_FALSE(listed.contains(Canary::none));
  // These have canaries of their own: intruder.h, hoarder.h, and mix_up.h.
  laws.insert({Law::c7_callbacks, Law::r1_resources, Law::x1_outcome});
  for (const LawEntry& entry : law_table()) {
    EXPECT_EQ(laws.contains(entry.law), entry.door == Door::app) << entry.name;
  }
}

}  // namespace
}  // namespace rig
