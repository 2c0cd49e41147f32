// Each row of the errno table about what makes a loop, a listener or a connection, injected in the lab, for every
// subject, library and poller: the verb is refused for what the system says, with a sentence, nothing of it is left,
// and asked again it does what it is to do. A row whose fault did not strike fails.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/check.h"
#include "harness/engine/identities.h"
#include "harness/lab/lab.h"
#include "harness/oracle/errno_table.h"
#include "harness/scenario/kernel_watch.h"
#include "harness/scenario/lab_world.h"
#include "harness/subjects/abi.h"
#include "harness/subjects/subjects.h"

namespace rig {
namespace {

std::optional<lab::Op> op_that_makes(SystemCall call) {
  switch (call) {
    case SystemCall::socket:
      return lab::Op::socket;
    case SystemCall::bind:
      return lab::Op::bind;
    case SystemCall::listen:
      return lab::Op::listen;
    case SystemCall::epoll_create:
      return lab::Op::epoll_create;
    case SystemCall::eventfd:
      return lab::Op::eventfd;
    default:
      return std::nullopt;
  }
}

constexpr rig_socket_config sockets_of_their_own{};

// What a socket is told is not what this is about.
constexpr rig_socket_callbacks deaf{.connected = [](void*, const rig_error*) {},
                                    .data = [](void*, const std::uint8_t*, std::size_t) {},
                                    .ended = [](void*) {},
                                    .sent = [](void*, std::uint64_t, std::size_t, const rig_error*) {},
                                    .writable = [](void*) {},
                                    .closed = [](void*, const rig_error*) {}};
constexpr rig_listener_callbacks nobody{.accepted = [](void*, rig_socket*) {}};

// Refusal is what a verb was refused with.
struct Refusal {
  std::string verb;
  rig_status status = RIG_OK;
  std::string detail;
  bool made = false;  // although it was refused
};

// Works makes a loop, a listener and a connection, one after the other, each again if it is refused, and gives back
// what was made.
class Works {
 public:
  Works(const rig_subject& subject, std::string library, std::uint32_t poller)
      : subject_(subject), library_(std::move(library)), poller_(poller) {}

  void run() {
    const rig_loop_config config{.poller = poller_, .fast_track = 1};
    rig_loop* const loop = twice<rig_loop>(
        "loop_create", [&](rig_loop** made, rig_error* error) { return subject_.loop_create(&config, made, error); });
    rig_context* const server = context(1);
    rig_listener* const listener = twice<rig_listener>("listen", [&](rig_listener** made, rig_error* error) {
      return subject_.listen(loop, server, "127.0.0.1", 0, &sockets_of_their_own, &nobody, nullptr, made, error);
    });
    rig_context* const client = context(0);
    rig_socket* const socket = twice<rig_socket>("connect", [&](rig_socket** made, rig_error* error) {
      return subject_.connect(loop, client, "127.0.0.1", subject_.listener_port(listener), &sockets_of_their_own, &deaf,
                              nullptr, made, error);
    });
    subject_.close(socket, RIG_CLOSE_ABORT, nullptr);
    subject_.destroy(socket);
    subject_.listener_close(listener);
    subject_.loop_destroy(loop);
    subject_.context_destroy(client);
    subject_.context_destroy(server);
  }

  const std::vector<Refusal>& refusals() const { return refusals_; }

 private:
  template <class T, class Ask>
  T* twice(const char* verb, Ask ask) {
    T* made = nullptr;
    rig_error error{};
    if (const rig_status status = ask(&made, &error); status != RIG_OK) {
      refusals_.push_back({verb, status, error.detail, made != nullptr});
      made = nullptr;
      RIG_CHECK(ask(&made, &error) == RIG_OK);
    }
    return made;
  }

  rig_context* context(std::uint32_t server) {
    const Psk psk = test_psk();
    rig_context_config config{};
    config.library = library_.c_str();
    config.server = server;
    config.tls_min = config.tls_max = RIG_TLS_1_2;
    config.psk_identity = psk.identity.c_str();
    config.psk = psk.key.data();
    config.psk_bytes = psk.key.size();
    rig_context* made = nullptr;
    RIG_CHECK(subject_.context_create(&config, &made, nullptr) == RIG_OK);
    return made;
  }

  const rig_subject& subject_;
  const std::string library_;
  const std::uint32_t poller_;
  std::vector<Refusal> refusals_;
};

struct Place {
  std::string subject;
  std::string library;
};

std::vector<Place> places() {
  std::vector<Place> all;
  for (const char* const subject : {"house", "direct"}) {
    const auto found = find_subject(subject);
    for (const char* const library : {"openssl", "gnutls", "mbedtls"}) {
      if (found.has_value() && ((*found)->capabilities(library) & RIG_CAN_TLS12) != 0) {
        all.push_back({subject, library});
      }
    }
  }
  return all;
}

class Making : public testing::TestWithParam<Place> {
 protected:
  static void SetUpTestSuite() { RIG_CHECK(enter_lab().has_value()); }

  // strikes has the `nth` call fail as the row says, and answers whether there was one.
  static bool strikes(const ErrnoRow& row, lab::Op op, std::uint32_t poller, std::uint64_t nth) {
    SCOPED_TRACE(std::string(row.name) + " at call " + std::to_string(nth) + " of " + std::string(lab::word(op)) +
                 " with poller " + std::to_string(poller));
    lab::Options options;
    options.policy = lab::PolicyKind::none;
    lab::Fault& fault = options.faults.emplace_back();
    fault.number = 1;
    fault.kind = lab::FaultKind::error;
    fault.op = op;
    fault.nth = nth;
    fault.amount = row.number;
    const auto subject = find_subject(GetParam().subject);
    Works works(**subject, GetParam().library, poller);
    ViolationLog log;
    const auto ended = lab::run(options, [&] {
      KernelWatch watch(log);
      works.run();
      watch.finish_descriptors();
    });
    const bool struck = !ended.faults.empty();
    for (const Violation& violation : log.kept()) {
      ADD_FAILURE() << law_name(violation.law) << ": " << violation.message;
    }
    EXPECT_EQ(works.refusals().size(), struck ? 1u : 0u);
    for (const Refusal& refusal : works.refusals()) {
      EXPECT_EQ(refusal.status, to_abi(Error(*row.ends, {}), nullptr)) << refusal.verb << ": " << refusal.detail;
      EXPECT_FALSE(refusal.detail.empty()) << refusal.verb;
      EXPECT_FALSE(refusal.made) << refusal.verb << " has refused, and made something";
    }
    return struck;
  }
};

TEST_P(Making, IsRefusedForWhatTheSystemSaysAndLeavesNothing) {
  constexpr std::uint64_t calls_max = 100;
  const std::uint32_t pollers = (*find_subject(GetParam().subject))->pollers;
  for (const ErrnoRow& row : errno_rows()) {
    const auto op = op_that_makes(row.call);
    if (!op.has_value() || (row.call == SystemCall::epoll_create && (pollers & RIG_POLLER_EPOLL) == 0)) {
      continue;
    }
    std::uint64_t reached = 0;
    for (const std::uint32_t poller : {RIG_POLLER_EPOLL, RIG_POLLER_POLL, RIG_POLLER_SELECT}) {
      std::uint64_t nth = 1;
      while ((pollers & poller) != 0 && nth <= calls_max && strikes(row, *op, poller, nth)) {
        ++nth;
      }
      EXPECT_LE(nth, calls_max);
      reached += nth - 1;
    }
    EXPECT_GT(reached, 0u) << row.name << " of " << call_name(row.call) << " was not reached";
  }
}

INSTANTIATE_TEST_SUITE_P(Lab, Making, testing::ValuesIn(places()),
                         [](const auto& test) { return test.param.subject + "_" + test.param.library + "_making"; });

}  // namespace
}  // namespace rig
