// Faults: each kind, by the list and by the seed.
#include <algorithm>
#include <memory>
#include <set>
#include <span>

#include "harness/lab/allocation.h"
#include "harness/lab/kernel/kernel.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tests/conformance.h"

namespace rig::lab {
namespace {

Fault fault(FaultKind kind, Op op, std::uint64_t nth, std::int64_t amount) {
  Fault made;
  made.number = 1;
  made.kind = kind;
  made.op = op;
  made.nth = nth;
  made.amount = amount;
  return made;
}

Fault on_stream(FaultKind kind, FaultSide side, std::uint64_t offset, std::int64_t amount) {
  Fault made = fault(kind, Op::send, 1, amount);
  made.side = side;
  made.offset = offset;
  return made;
}

// with_faults runs a body with a list of faults and answers those that were injected.
template <class Body>
std::vector<Fault> with_faults(std::vector<Fault> faults, Body body) {
  Options options;
  options.seed = 1;
  options.faults = std::move(faults);
  return run(options, body).faults;
}

TEST(Faults, a_short_write_takes_what_it_says_once) {
  const Fault listed = fault(FaultKind::short_write, Op::send, 2, 3);
  const auto injected = with_faults({listed}, [] {
    Tcp tcp = connected();
    EXPECT_EQ(::send(tcp.client, "12345", 5, 0), 5);
    EXPECT_EQ(::send(tcp.client, "12345", 5, 0), 3);
    EXPECT_EQ(::send(tcp.client, "45", 2, 0), 2);
    EXPECT_EQ(receive(tcp.server, 10), "1234512345");
  });
  EXPECT_EQ(injected, std::vector<Fault>{listed});
}

TEST(Faults, a_sticky_short_read_goes_on) {
  Fault listed = fault(FaultKind::short_read, Op::recv, 1, 1);
  listed.sticky = true;
  const auto injected = with_faults({listed}, [] {
    Tcp tcp = connected();
    send_all(tcp.client, "abc");
    char bytes[8] = "";
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 1);
    }
  });
  EXPECT_EQ(injected.size(), 3U);
}

TEST(Faults, a_stop_ends_a_send_and_a_receive_at_its_byte) {
  const Fault listed = on_stream(FaultKind::stop, FaultSide::client, 0, 3);
  const auto injected = with_faults({listed}, [] {
    Tcp tcp = connected();
    EXPECT_EQ(::send(tcp.client, "12345", 5, 0), 3);
    EXPECT_EQ(::send(tcp.client, "45", 2, 0), 2);
    char bytes[8] = "";
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 3);
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 2);
    EXPECT_EQ(::send(tcp.server, "12345", 5, 0), 5);
  });
  EXPECT_EQ(injected, std::vector<Fault>{listed});
}

TEST(Faults, a_block_answers_once_at_its_byte_on_either_side) {
  const Fault listed = on_stream(FaultKind::block, FaultSide::client, 0, 3);
  const auto injected = with_faults({listed}, [] {
    Tcp tcp = connected();
    const Fd epoll = epoll_of(tcp.client, EPOLLOUT | EPOLLET);
    EXPECT_EQ(::send(tcp.client, "12345", 5, MSG_DONTWAIT), 3);
    epoll_now(epoll);
    EXPECT_EQ(::send(tcp.client, "45", 2, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(epoll_now(epoll).size(), 1U);
    EXPECT_EQ(::send(tcp.client, "45", 2, MSG_DONTWAIT), 2);
    char bytes[8] = "";
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, MSG_DONTWAIT), 3);
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, MSG_DONTWAIT), 2);
  });
  EXPECT_EQ(injected, std::vector<Fault>{listed});
}

TEST(Faults, a_block_keeps_nothing_back_behind_a_reset) {
  with_faults({on_stream(FaultKind::block, FaultSide::client, 0, 3)}, [] {
    Tcp tcp = connected();
    EXPECT_EQ(::send(tcp.client, "12345", 5, MSG_DONTWAIT), 3);
    EXPECT_EQ(::send(tcp.client, "45", 2, MSG_DONTWAIT), -1);
    EXPECT_EQ(::send(tcp.client, "45", 2, MSG_DONTWAIT), 2);
    reset_on_close(tcp.client);
    tcp.client.close();
    char bytes[8] = "";
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, MSG_DONTWAIT), 3);
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, MSG_DONTWAIT), 2);
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNRESET);
  });
}

TEST(Faults, a_stop_that_no_call_crosses_strikes_nothing) {
  const auto injected = with_faults({on_stream(FaultKind::stop, FaultSide::client, 0, 5)}, [] {
    Tcp tcp = connected();
    EXPECT_EQ(::send(tcp.client, "12345", 5, 0), 5);
    char bytes[5] = "";
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 5);
    EXPECT_EQ(::send(tcp.client, "1", 1, 0), 1);
  });
  EXPECT_TRUE(injected.empty());
}

TEST(Faults, a_fault_strikes_the_connection_and_the_side_that_it_names) {
  Fault listed = fault(FaultKind::error, Op::send, 1, ENOBUFS);
  listed.connection = 4;
  listed.side = FaultSide::server;
  const auto injected = with_faults({listed}, [] {
    Tcp other = connected();
    const Fd listener = listen_on(AF_INET);
    name_connection(port_of(name_of(listener)), 4);
    const Fd client = connect_to(name_of(listener));
    const Fd server(::accept(listener, nullptr, nullptr));
    send_all(other.server, "x");
    send_all(client, "x");
    EXPECT_EQ(::send(server, "x", 1, 0), -1);
    EXPECT_EQ(errno, ENOBUFS);
    send_all(server, "x");
  });
  EXPECT_EQ(injected.size(), 1U);
}

TEST(Faults, would_block_strikes_only_what_does_not_wait) {
  Fault listed = fault(FaultKind::would_block, Op::recv, 1, 0);
  listed.sticky = true;
  with_faults({listed}, [] {
    Tcp tcp = connected(AF_INET, false);
    send_all(tcp.client, "ab");
    char byte = 0;
    EXPECT_EQ(::recv(tcp.server, &byte, 1, 0), 1);
    EXPECT_EQ(::recv(tcp.server, &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
  });
}

// What came before a reset is there to be read, and what is local never was elsewhere.
TEST(Faults, would_block_strikes_only_where_another_end_could_be_slow) {
  Fault receives = fault(FaultKind::would_block, Op::recv, 1, 0);
  Fault reads = fault(FaultKind::would_block, Op::read, 1, 0);
  receives.sticky = reads.sticky = true;
  const auto injected = with_faults({receives, reads}, [] {
    Tcp tcp = connected();
    send_all(tcp.client, "a");
    char bytes[2] = "";
    EXPECT_EQ(::recv(tcp.server, bytes, 1, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
    reset_on_close(tcp.client);
    tcp.client.close();
    EXPECT_EQ(::recv(tcp.server, bytes, 2, 0), 1);
    EXPECT_EQ(::recv(tcp.server, bytes, 2, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    const auto [reader, writer] = pipe_pair(O_NONBLOCK);
    EXPECT_EQ(::write(writer, "b", 1), 1);
    EXPECT_EQ(::read(reader, bytes, 2), 1);
  });
  EXPECT_EQ(injected, std::vector<Fault>{receives});
}

// Linux lets an edge follow whatever has run out, when there is something again.
TEST(Faults, what_was_said_to_have_run_out_comes_back_as_an_edge) {
  for (const FaultKind kind : {FaultKind::would_block, FaultKind::short_write}) {
    with_faults({fault(kind, Op::send, 1, 1)}, [kind] {
      Tcp tcp = connected();
      const Fd epoll = epoll_of(tcp.client, EPOLLOUT | EPOLLET);
      ASSERT_EQ(epoll_now(epoll).size(), 1U);
      EXPECT_EQ(::send(tcp.client, "ab", 2, MSG_DONTWAIT), kind == FaultKind::would_block ? -1 : 1);
      EXPECT_EQ(epoll_now(epoll).size(), 1U);
      EXPECT_TRUE(epoll_now(epoll).empty());
      EXPECT_EQ(::send(tcp.client, "ab", 2, MSG_DONTWAIT), 2);
      EXPECT_TRUE(epoll_now(epoll).empty());
    });
  }
  for (const FaultKind kind : {FaultKind::would_block, FaultKind::short_read}) {
    with_faults({fault(kind, Op::recv, 1, 1)}, [kind] {
      Tcp tcp = connected();
      const Fd epoll = epoll_of(tcp.server, EPOLLIN | EPOLLET);
      send_all(tcp.client, "ab");
      ASSERT_EQ(epoll_now(epoll, patience_ms).size(), 1U);
      char bytes[2] = "";
      EXPECT_EQ(::recv(tcp.server, bytes, 2, MSG_DONTWAIT), kind == FaultKind::would_block ? -1 : 1);
      EXPECT_EQ(epoll_now(epoll).size(), 1U);
      EXPECT_TRUE(epoll_now(epoll).empty());
    });
  }
}

TEST(Faults, an_interruption_is_eintr_and_leaves_a_connect_under_way) {
  with_faults({fault(FaultKind::interrupted, Op::epoll_wait, 1, 0), fault(FaultKind::interrupted, Op::recv, 1, 0)}, [] {
    Tcp tcp = connected(AF_INET, false);
    const Fd epoll = epoll_of(tcp.server, EPOLLIN);
    epoll_event event{};
    EXPECT_EQ(::epoll_wait(epoll, &event, 1, -1), -1);
    EXPECT_EQ(errno, EINTR);
    char byte = 0;
    EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EINTR);
  });
  for (const int waits_not : {0, int{SOCK_NONBLOCK}}) {
    with_faults({fault(FaultKind::interrupted, Op::connect, 2, 0)}, [waits_not] {
      const Fd listener = listen_on(AF_INET, 0);
      const Target target = name_of(listener);
      const Fd first = connect_to(target);
      const Fd second(::socket(AF_INET, SOCK_STREAM | waits_not, 0));
      EXPECT_EQ(::connect(second, &target.address.any, target.bytes), -1);
      EXPECT_EQ(errno, EINTR);
      const Fd accepted(::accept(listener, nullptr, nullptr));
      EXPECT_EQ(wait_events(second, POLLOUT), POLLOUT);
    });
  }
}

TEST(Faults, any_errno_of_any_call) {
  with_faults({fault(FaultKind::error, Op::socket, 1, EMFILE), fault(FaultKind::error, Op::accept, 1, ENFILE),
               fault(FaultKind::error, Op::close, 1, EIO), fault(FaultKind::option, Op::setsockopt, 1, EPERM)},
              [] {
                EXPECT_EQ(::socket(AF_INET, SOCK_STREAM, 0), -1);
                EXPECT_EQ(errno, EMFILE);
                Fd listener = listen_on(AF_INET);
                int value = 1;
                EXPECT_EQ(::setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value), -1);
                EXPECT_EQ(errno, EPERM);
                EXPECT_EQ(::accept(listener, nullptr, nullptr), -1);
                EXPECT_EQ(errno, ENFILE);
                const int number = listener.release();
                EXPECT_EQ(::close(number), -1);
                EXPECT_EQ(errno, EIO);
                EXPECT_EQ(::close(number), -1);
                EXPECT_EQ(errno, EBADF);
              });
}

// A program that wakes itself has nothing else to be woken by.
TEST(Faults, an_error_strikes_no_eventfd) {
  std::vector<Fault> listed{fault(FaultKind::error, Op::write, 1, EIO), fault(FaultKind::error, Op::read, 1, EIO)};
  for (Fault& one : listed) {
    one.sticky = true;
  }
  const auto injected = with_faults(listed, [] {
    const Fd wakeup(::eventfd(0, EFD_NONBLOCK));
    const std::uint64_t one = 1;
    std::uint64_t rings = 0;
    EXPECT_EQ(::write(wakeup, &one, sizeof one), 8);
    EXPECT_EQ(::read(wakeup, &rings, sizeof rings), 8);
    EXPECT_EQ(rings, 1U);
    Tcp tcp = connected();
    EXPECT_EQ(::write(tcp.client, "x", 1), -1);
    EXPECT_EQ(errno, EIO);
  });
  EXPECT_EQ(injected.size(), 1U);
}

TEST(Faults, noise_is_left_in_errno_by_a_call_that_succeeds) {
  with_faults({fault(FaultKind::errno_noise, Op::send, 1, ENOTTY)}, [] {
    Tcp tcp = connected();
    errno = 0;
    send_all(tcp.client, "x");
    EXPECT_EQ(errno, ENOTTY);
    errno = ERANGE;
    send_all(tcp.client, "x");
    EXPECT_EQ(errno, ERANGE);
  });
}

TEST(Faults, a_spurious_readiness_is_reported_once) {
  with_faults({fault(FaultKind::spurious, Op::poll, 1, 0), fault(FaultKind::spurious, Op::epoll_wait, 1, 0)}, [] {
    Tcp tcp = connected();
    EXPECT_EQ(look(tcp.server, POLLIN), POLLIN);
    EXPECT_EQ(look(tcp.server, POLLIN), 0);
    const Fd epoll = epoll_of(tcp.server, EPOLLIN);
    EXPECT_EQ(epoll_now(epoll).size(), 1U);
    EXPECT_TRUE(epoll_now(epoll).empty());
  });
}

TEST(Faults, a_synchronous_connect_succeeds_at_once) {
  with_faults({fault(FaultKind::sync_connect, Op::connect, 1, 0)}, [] {
    const Fd listener = listen_on(AF_INET);
    const Target target = name_of(listener);
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::connect(client, &target.address.any, target.bytes), 0);
  });
}

TEST(Faults, a_reset_comes_when_the_stream_has_carried_so_much) {
  with_faults({on_stream(FaultKind::reset, FaultSide::client, 0, 5)}, [] {
    Tcp tcp = connected();
    send_all(tcp.server, "not this way");
    send_all(tcp.client, "1234");
    EXPECT_EQ(look(tcp.client, POLLIN), POLLIN);
    send_all(tcp.client, "5678");
    EXPECT_EQ(error_of(tcp.client), ECONNRESET);
    char bytes[16];
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 5);
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
  });
}

TEST(Faults, a_delay_holds_what_comes_from_its_byte_on) {
  with_faults({on_stream(FaultKind::delay, FaultSide::client, 2, 50'000)}, [] {
    Tcp tcp = connected();
    send_all(tcp.client, "1234");
    char bytes[8];
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 2);
    pollfd one{.fd = tcp.server, .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&one, 1, 40), 0);
    EXPECT_EQ(::poll(&one, 1, 20), 1);
    EXPECT_EQ(receive(tcp.server, 2), "34");
  });
}

TEST(Faults, a_split_parts_a_segment) {
  with_faults({on_stream(FaultKind::split, FaultSide::server, 0, 3)}, [] {
    Tcp tcp = connected();
    send_all(tcp.server, "12345");
    char bytes[8];
    EXPECT_EQ(::recv(tcp.client, bytes, sizeof bytes, 0), 3);
    EXPECT_EQ(receive(tcp.client, 2), "45");
  });
}

TEST(Faults, a_coalesce_holds_segments_back_until_its_byte_or_the_end) {
  with_faults({on_stream(FaultKind::coalesce, FaultSide::client, 0, 6)}, [] {
    Tcp tcp = connected();
    send_all(tcp.client, "12");
    send_all(tcp.client, "34");
    EXPECT_EQ(look(tcp.server, POLLIN), 0);
    send_all(tcp.client, "56");
    char bytes[8];
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 6);
  });
  with_faults({on_stream(FaultKind::coalesce, FaultSide::client, 0, 600)}, [] {
    Tcp tcp = connected();
    send_all(tcp.client, "12");
    EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
    char bytes[8];
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 2);
    EXPECT_EQ(::recv(tcp.server, bytes, sizeof bytes, 0), 0);
  });
}

// patient_exchange is a program that does all that POSIX demands of one.
void patient_exchange() {
  const Fd listener = listen_on(AF_INET);
  name_connection(port_of(name_of(listener)), 1);
  const Target target = name_of(listener);
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  set_int(client, SOL_SOCKET, SO_SNDBUF, 4096);
  static_cast<void>(::connect(client, &target.address.any, target.bytes));
  int server = -1;
  while (server < 0) {
    server = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  }
  const Fd owned(server);
  const std::string text(30'000, 't');
  std::size_t sent = 0;
  std::size_t taken = 0;
  while (taken < text.size()) {
    pollfd polls[2] = {{.fd = client, .events = static_cast<short>(sent < text.size() ? POLLOUT : 0), .revents = 0},
                       {.fd = server, .events = POLLIN, .revents = 0}};
    static_cast<void>(::poll(polls, 2, -1));
    if (sent < text.size()) {
      const ssize_t count = ::send(client, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      sent += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    char block[5000];
    const ssize_t count = ::recv(server, block, sizeof block, 0);
    taken += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  EXPECT_EQ(taken, text.size());
}

TEST(Faults, what_the_seed_injects_is_the_same_run_again_when_it_is_listed) {
  for (const Profile profile : {Profile::strict, Profile::adversarial}) {
    std::set<FaultKind> kinds;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      Options options;
      options.seed = seed;
      options.profile = profile;
      options.random_faults = true;
      const auto recorder = std::make_unique<FlightRecorder>();
      options.recorder = recorder.get();
      const Outcome by_seed = run(options, patient_exchange);
      for (const Fault& one : by_seed.faults) {
        kinds.insert(one.kind);
      }
      // A process that crashes has no outcome: all of it is in the recorder as well.
      ASSERT_EQ(recorder->fault_count, by_seed.faults.size()) << "seed " << seed;
      EXPECT_TRUE(std::ranges::equal(by_seed.faults, std::span(recorder->faults, recorder->fault_count)));
      options.random_faults = false;
      options.faults = by_seed.faults;
      const Outcome listed = run(options, patient_exchange);
      EXPECT_EQ(listed.faults, by_seed.faults) << "seed " << seed;
      EXPECT_EQ(listed.schedule_hash, by_seed.schedule_hash) << "seed " << seed;
      EXPECT_EQ(listed.byte_hash, by_seed.byte_hash) << "seed " << seed;
    }
    for (const FaultKind kind : {FaultKind::short_write, FaultKind::delay, FaultKind::split, FaultKind::coalesce}) {
      EXPECT_TRUE(kinds.contains(kind)) << word(kind);
    }
    for (const FaultKind kind :
         {FaultKind::would_block, FaultKind::errno_noise, FaultKind::spurious, FaultKind::sync_connect}) {
      EXPECT_EQ(kinds.contains(kind), profile == Profile::adversarial) << word(kind);
    }
    EXPECT_FALSE(kinds.contains(FaultKind::reset));
    EXPECT_FALSE(kinds.contains(FaultKind::error));
  }
}

// Linux interrupts only a call that waits; other systems also one that would not.
TEST(Faults, a_call_that_does_not_wait_is_interrupted_where_only_POSIX_counts) {
  for (const Profile profile : {Profile::strict, Profile::adversarial}) {
    std::ptrdiff_t interrupted = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      Options options;
      options.seed = seed;
      options.profile = profile;
      options.random_faults = true;
      const Outcome outcome = run(options, patient_exchange);
      interrupted += std::ranges::count_if(outcome.faults, [](const Fault& one) {
        return one.kind == FaultKind::interrupted && (one.op == Op::send || one.op == Op::recv);
      });
    }
    EXPECT_EQ(interrupted > 0, profile == Profile::adversarial);
  }
}

// Where a count is one off, only a call shows it that moves one byte, or all but one.
TEST(Faults, a_call_is_cut_short_at_either_end_as_well_as_anywhere) {
  constexpr std::size_t bytes = 1000;
  constexpr int draws = 8000;
  std::vector<int> drawn(bytes, 0);
  Options options;
  options.seed = 1;
  run(options, [&] {
    for (int i = 0; i < draws; ++i) {
      const std::size_t cut = Faults::draw_cut(bytes);
      ASSERT_TRUE(cut > 0 && cut < bytes) << cut;
      ++drawn[cut];
    }
    EXPECT_EQ(Faults::draw_cut(2), 1U);
  });
  EXPECT_GT(drawn[1], draws / 16);
  EXPECT_GT(drawn[bytes - 1], draws / 16);
  EXPECT_LT(drawn[1] + drawn[bytes - 1], draws / 2) << "most are cut anywhere";
  EXPECT_GT(std::ranges::count_if(drawn, [](int times) { return times > 0; }), 900);
}

// What lies on the stream strikes whoever sends.
TEST(Faults, the_seed_spares_the_calls_of_the_rig_if_it_is_told_to) {
  const auto calls_struck = [](Party party) {
    std::size_t struck = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      Options options;
      options.seed = seed;
      options.profile = Profile::adversarial;
      options.random_faults = options.random_faults_spare_rig = true;
      const Outcome outcome = run(options, [party] {
        const Acting who(party);
        patient_exchange();
      });
      struck += static_cast<std::size_t>(std::ranges::count_if(outcome.faults, [](const Fault& one) {
        return one.kind != FaultKind::delay && one.kind != FaultKind::split && one.kind != FaultKind::coalesce;
      }));
    }
    return struck;
  };
  EXPECT_EQ(calls_struck(Party::rig), 0U);
  EXPECT_GT(calls_struck(Party::subject), 0U);
}

}  // namespace
}  // namespace rig::lab
