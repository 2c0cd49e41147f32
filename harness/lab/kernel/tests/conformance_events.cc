// Waiting: poll, select, epoll, and the files that carry events.
#include <sys/time.h>

#include <algorithm>

#include "harness/lab/kernel/tests/conformance.h"

namespace rig::lab {
namespace {

// An epoll_event is packed: its data may be read, and no reference may bind to them.
std::uint64_t mark_of(const epoll_event& event) {
  return event.data.u64;
}

RIG_CONFORMANCE(poll_answers_only_what_it_was_asked_and_errors) {
  Tcp tcp = connected();
  send_all(tcp.client, "x");
  wait_events(tcp.server, POLLIN);
  EXPECT_EQ(look(tcp.server, POLLOUT), POLLOUT);
  EXPECT_EQ(look(tcp.server, POLLIN), POLLIN);
  EXPECT_EQ(look(tcp.server, POLLIN | POLLRDNORM | POLLOUT | POLLPRI), POLLIN | POLLRDNORM | POLLOUT);
  EXPECT_EQ(look(tcp.client, POLLIN), 0);
}

RIG_CONFORMANCE(poll_passes_over_negative_descriptors) {
  pollfd polls[2] = {{.fd = -1, .events = POLLIN, .revents = 7}, {.fd = -5, .events = POLLIN, .revents = 7}};
  EXPECT_EQ(::poll(polls, 2, 0), 0);
  EXPECT_EQ(polls[0].revents, 0);
  EXPECT_EQ(polls[1].revents, 0);
}

RIG_CONFORMANCE(poll_counts_each_descriptor_that_is_ready) {
  Tcp tcp = connected();
  pollfd polls[3] = {{.fd = tcp.client, .events = POLLOUT, .revents = 0},
                     {.fd = tcp.listener, .events = POLLIN, .revents = 0},
                     {.fd = tcp.server, .events = POLLOUT, .revents = 0}};
  EXPECT_EQ(::poll(polls, 3, patience_ms), 2);
  EXPECT_EQ(polls[1].revents, 0);
}

RIG_CONFORMANCE(poll_waits_for_another_thread) {
  Tcp tcp = connected();
  std::thread sending([&] { send_all(tcp.client, "x"); });
  EXPECT_EQ(wait_events(tcp.server, POLLIN), POLLIN);
  sending.join();
}

RIG_CONFORMANCE(ppoll_has_a_finer_limit) {
  Tcp tcp = connected();
  pollfd one{.fd = tcp.client, .events = POLLIN, .revents = 0};
  const timespec limit{.tv_sec = 0, .tv_nsec = 1000};
  EXPECT_EQ(::ppoll(&one, 1, &limit, nullptr), 0);
  one.events = POLLOUT;
  EXPECT_EQ(::ppoll(&one, 1, nullptr, nullptr), 1);
}

// Descriptors of the lab may be beyond what a select can take; those of these tests are not.
RIG_CONFORMANCE(select_sets_the_bits_of_what_is_ready) {
  Tcp tcp = connected();
  if (tcp.server >= FD_SETSIZE) {
    FAIL() << "descriptor " << tcp.server;
  }
  fd_set in;
  fd_set out;
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_SET(tcp.server, &in);
  FD_SET(tcp.client, &in);
  FD_SET(tcp.client, &out);
  const int most = std::max<int>(tcp.server, tcp.client) + 1;
  timeval limit{.tv_sec = 20, .tv_usec = 0};
  EXPECT_EQ(::select(most, &in, &out, nullptr, &limit), 1);
  EXPECT_TRUE(FD_ISSET(tcp.client, &out));
  EXPECT_FALSE(FD_ISSET(tcp.server, &in));
  EXPECT_LE(limit.tv_sec, 20);
  send_all(tcp.client, "x");
  FD_ZERO(&in);
  FD_SET(tcp.server, &in);
  EXPECT_EQ(::select(most, &in, nullptr, nullptr, nullptr), 1);
  EXPECT_TRUE(FD_ISSET(tcp.server, &in));
}

RIG_CONFORMANCE(select_times_out_with_empty_sets_and_no_time_left) {
  Tcp tcp = connected();
  fd_set in;
  FD_ZERO(&in);
  FD_SET(tcp.server, &in);
  timeval limit{.tv_sec = 0, .tv_usec = 1000};
  EXPECT_EQ(::select(tcp.server + 1, &in, nullptr, nullptr, &limit), 0);
  EXPECT_FALSE(FD_ISSET(tcp.server, &in));
  EXPECT_EQ(limit.tv_usec, 0);
  const timespec moment{.tv_sec = 0, .tv_nsec = 1000};
  FD_SET(tcp.server, &in);
  EXPECT_EQ(::pselect(tcp.server + 1, &in, nullptr, nullptr, &moment, nullptr), 0);
}

RIG_CONFORMANCE(select_of_a_closed_descriptor_is_bad) {
  Fd bell(::eventfd(0, 0));
  const int gone = bell;
  bell.close();
  fd_set in;
  FD_ZERO(&in);
  FD_SET(gone, &in);
  EXPECT_EQ(::select(gone + 1, &in, nullptr, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EBADF);
}

RIG_CONFORMANCE(epoll_level_fires_as_long_as_there_are_data) {
  Tcp tcp = connected();
  const Fd epoll = epoll_of(tcp.server, EPOLLIN, 42);
  EXPECT_TRUE(epoll_now(epoll).empty());
  send_all(tcp.client, "xy");
  for (int i = 0; i < 2; ++i) {
    const auto events = epoll_now(epoll, patience_ms);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].events, EPOLLIN);
    EXPECT_EQ(mark_of(events[0]), 42U);
  }
  EXPECT_EQ(receive(tcp.server, 2), "xy");
  EXPECT_TRUE(epoll_now(epoll).empty());
}

RIG_CONFORMANCE(epoll_edge_fires_again_only_after_new_data) {
  Tcp tcp = connected();
  const Fd epoll = epoll_of(tcp.server, EPOLLIN | EPOLLET);
  send_all(tcp.client, "xy");
  ASSERT_EQ(epoll_now(epoll, patience_ms).size(), 1U);
  EXPECT_TRUE(epoll_now(epoll).empty());
  EXPECT_EQ(receive(tcp.server, 1), "x");
  EXPECT_TRUE(epoll_now(epoll).empty());
  send_all(tcp.client, "z");
  EXPECT_EQ(epoll_now(epoll, patience_ms).size(), 1U);
}

RIG_CONFORMANCE(epoll_edge_reports_what_is_there_when_it_is_added_or_modified) {
  Tcp tcp = connected();
  send_all(tcp.client, "x");
  wait_events(tcp.server, POLLIN);
  const Fd epoll = epoll_of(tcp.server, EPOLLIN | EPOLLOUT | EPOLLET);
  auto events = epoll_now(epoll);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].events, EPOLLIN | EPOLLOUT);
  EXPECT_TRUE(epoll_now(epoll).empty());
  epoll_event again{.events = EPOLLIN | EPOLLET, .data = {.u64 = 9}};
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_MOD, tcp.server, &again), 0);
  events = epoll_now(epoll);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].events, EPOLLIN);
  EXPECT_EQ(mark_of(events[0]), 9U);
}

RIG_CONFORMANCE(epoll_edge_reports_room_after_it_had_run_out) {
  Tcp tcp = connected(AF_INET, true, 8192);
  const Fd epoll = epoll_of(tcp.client, EPOLLOUT | EPOLLET);
  ASSERT_EQ(epoll_now(epoll).size(), 1U);
  const std::size_t sent = fill(tcp.client);
  epoll_now(epoll);
  EXPECT_TRUE(epoll_now(epoll).empty());
  EXPECT_EQ(drain(tcp.server, sent), sent);
  EXPECT_EQ(epoll_now(epoll, patience_ms).size(), 1U);
}

RIG_CONFORMANCE(epoll_oneshot_fires_once_until_it_is_armed_again) {
  Tcp tcp = connected();
  const Fd epoll = epoll_of(tcp.server, EPOLLIN | EPOLLONESHOT);
  send_all(tcp.client, "x");
  ASSERT_EQ(epoll_now(epoll, patience_ms).size(), 1U);
  tcp.client.close();
  EXPECT_TRUE(await_all(tcp.server, POLLIN | POLLRDHUP));
  EXPECT_TRUE(epoll_now(epoll).empty());
  epoll_event again{.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = 1}};
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_MOD, tcp.server, &again), 0);
  EXPECT_EQ(epoll_now(epoll).size(), 1U);
}

RIG_CONFORMANCE(epoll_reports_the_peers_half_close_if_asked) {
  Tcp tcp = connected();
  const Fd epoll = epoll_of(tcp.server, EPOLLRDHUP);
  EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
  const auto events = epoll_now(epoll, patience_ms);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].events, EPOLLRDHUP);
}

RIG_CONFORMANCE(epoll_reports_errors_without_being_asked) {
  Tcp tcp = connected();
  const Fd epoll = epoll_of(tcp.client, 0);
  reset_on_close(tcp.server);
  tcp.server.close();
  const auto events = epoll_now(epoll, patience_ms);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].events, EPOLLERR | EPOLLHUP);
}

RIG_CONFORMANCE(epoll_shares_its_answers_out_in_turns) {
  std::vector<Fd> bells;
  const Fd epoll(::epoll_create1(0));
  for (std::uint64_t i = 0; i < 3; ++i) {
    bells.emplace_back(::eventfd(1, EFD_NONBLOCK));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    ASSERT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, bells.back(), &event), 0);
  }
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 4; ++i) {
    for (const epoll_event& event : epoll_now(epoll, 0, 2)) {
      order.push_back(mark_of(event));
    }
  }
  EXPECT_EQ(order, (std::vector<std::uint64_t>{0, 1, 2, 0, 1, 2, 0, 1}));
}

RIG_CONFORMANCE(epoll_refuses_what_it_has_and_what_it_has_not) {
  const Fd bell(::eventfd(0, 0));
  const Fd epoll = epoll_of(bell, EPOLLIN);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &event), -1);
  EXPECT_EQ(errno, EEXIST);
  const Fd twin(::dup(bell));
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, twin, &event), 0);
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_DEL, bell, nullptr), 0);
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_DEL, bell, nullptr), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_MOD, bell, &event), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(::epoll_ctl(bell, EPOLL_CTL_ADD, twin, &event), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::epoll_wait(epoll, &event, 0, 0), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(epoll_forgets_a_closed_file_and_not_a_closed_twin) {
  Fd bell(::eventfd(1, 0));
  const Fd epoll = epoll_of(bell, EPOLLIN);
  Fd twin(::dup(bell));
  bell.close();
  EXPECT_EQ(epoll_now(epoll).size(), 1U);
  twin.close();
  EXPECT_TRUE(epoll_now(epoll).empty());
}

RIG_CONFORMANCE(epoll_waits_for_another_thread_and_for_no_longer_than_asked) {
  const Fd bell(::eventfd(0, 0));
  const Fd epoll = epoll_of(bell, EPOLLIN);
  EXPECT_TRUE(epoll_now(epoll, 5).empty());
  std::thread ringing([&] {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(bell, &one, sizeof one), 8);
  });
  epoll_event event{};
  EXPECT_EQ(::epoll_pwait(epoll, &event, 1, -1, nullptr), 1);
  ringing.join();
}

RIG_CONFORMANCE(an_epoll_is_itself_readable_when_something_in_it_is) {
  const Fd bell(::eventfd(0, 0));
  const Fd epoll = epoll_of(bell, EPOLLIN);
  EXPECT_EQ(look(epoll, POLLIN), 0);
  const std::uint64_t one = 1;
  EXPECT_EQ(::write(bell, &one, sizeof one), 8);
  EXPECT_EQ(look(epoll, POLLIN), POLLIN);
}

RIG_CONFORMANCE(an_eventfd_gives_its_sum_and_is_empty) {
  const Fd bell(::eventfd(2, EFD_NONBLOCK | EFD_CLOEXEC));
  EXPECT_EQ(::fcntl(bell, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::eventfd_write(bell, 3), 0);
  EXPECT_EQ(look(bell, POLLIN | POLLOUT), POLLIN | POLLOUT);
  eventfd_t sum = 0;
  EXPECT_EQ(::eventfd_read(bell, &sum), 0);
  EXPECT_EQ(sum, 5U);
  EXPECT_EQ(::eventfd_read(bell, &sum), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(look(bell, POLLIN | POLLOUT), POLLOUT);
}

RIG_CONFORMANCE(an_eventfd_semaphore_gives_one_at_a_time) {
  const Fd bell(::eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE));
  std::uint64_t one = 0;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(::read(bell, &one, sizeof one), 8);
    EXPECT_EQ(one, 1U);
  }
  EXPECT_EQ(::read(bell, &one, sizeof one), -1);
  EXPECT_EQ(errno, EAGAIN);
}

RIG_CONFORMANCE(an_eventfd_has_limits) {
  const Fd bell(::eventfd(0, EFD_NONBLOCK));
  std::uint64_t number = UINT64_MAX;
  EXPECT_EQ(::write(bell, &number, sizeof number), -1);
  EXPECT_EQ(errno, EINVAL);
  number = UINT64_MAX - 1;
  EXPECT_EQ(::write(bell, &number, sizeof number), 8);
  EXPECT_EQ(look(bell, POLLIN | POLLOUT), POLLIN);
  number = 1;
  EXPECT_EQ(::write(bell, &number, sizeof number), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(::read(bell, &number, 4), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(a_timerfd_counts_its_expirations) {
  const Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
  std::uint64_t count = 0;
  EXPECT_EQ(::read(timer, &count, sizeof count), -1);
  EXPECT_EQ(errno, EAGAIN);
  const itimerspec once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = 5'000'000}};
  EXPECT_EQ(::timerfd_settime(timer, 0, &once, nullptr), 0);
  itimerspec left{};
  EXPECT_EQ(::timerfd_gettime(timer, &left), 0);
  EXPECT_GT(left.it_value.tv_nsec, 0);
  EXPECT_EQ(wait_events(timer, POLLIN), POLLIN);
  EXPECT_EQ(::read(timer, &count, sizeof count), 8);
  EXPECT_EQ(count, 1U);
  EXPECT_EQ(::timerfd_gettime(timer, &left), 0);
  EXPECT_EQ(left.it_value.tv_nsec, 0);
}

RIG_CONFORMANCE(a_periodic_timerfd_wakes_an_epoll_again_and_again) {
  const Fd timer(::timerfd_create(CLOCK_MONOTONIC, 0));
  const Fd epoll = epoll_of(timer, EPOLLIN);
  const itimerspec often{.it_interval = {.tv_sec = 0, .tv_nsec = 2'000'000},
                         .it_value = {.tv_sec = 0, .tv_nsec = 1'000'000}};
  EXPECT_EQ(::timerfd_settime(timer, 0, &often, nullptr), 0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(epoll_now(epoll, patience_ms).size(), 1U);
    std::uint64_t count = 0;
    EXPECT_EQ(::read(timer, &count, sizeof count), 8);
    EXPECT_GE(count, 1U);
  }
  const itimerspec off{};
  itimerspec old{};
  EXPECT_EQ(::timerfd_settime(timer, 0, &off, &old), 0);
  EXPECT_EQ(old.it_interval.tv_nsec, 2'000'000);
  EXPECT_EQ(look(timer, POLLIN), 0);
}

RIG_CONFORMANCE(a_pipe_ends_with_its_writer) {
  auto [reader, writer] = pipe_pair(O_NONBLOCK);
  char byte = 0;
  EXPECT_EQ(::read(reader, &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(::write(writer, "x", 1), 1);
  EXPECT_EQ(look(reader, POLLIN), POLLIN);
  writer.close();
  EXPECT_EQ(look(reader, POLLIN), POLLIN | POLLHUP);
  EXPECT_EQ(::read(reader, &byte, 1), 1);
  EXPECT_EQ(::read(reader, &byte, 1), 0);
  EXPECT_EQ(look(reader, POLLIN), POLLHUP);
}

RIG_CONFORMANCE(a_pipe_without_reader_is_broken) {
  auto [reader, writer] = pipe_pair(O_NONBLOCK);
  reader.close();
  EXPECT_EQ(look(writer, POLLOUT), POLLOUT | POLLERR);
  EXPECT_EQ(::write(writer, "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
}

RIG_CONFORMANCE(a_pipe_has_ends_and_room) {
  auto [reader, writer] = pipe_pair(O_NONBLOCK);
  char block[4096] = "";
  EXPECT_EQ(::write(reader, block, 1), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::read(writer, block, 1), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::fcntl(reader, F_GETFL), O_RDONLY | O_NONBLOCK);
  EXPECT_EQ(::fcntl(writer, F_GETFL), O_WRONLY | O_NONBLOCK);
  int blocks = 0;
  while (::write(writer, block, sizeof block) == sizeof block) {
    ++blocks;
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(blocks, 16);
  EXPECT_EQ(look(writer, POLLOUT), 0);
  EXPECT_EQ(::read(reader, block, sizeof block), 4096);
  EXPECT_EQ(look(writer, POLLOUT), POLLOUT);
  int count = 0;
  EXPECT_EQ(::ioctl(reader, FIONREAD, &count), 0);
  EXPECT_EQ(count, 15 * 4096);
}

RIG_CONFORMANCE(a_blocking_pipe_carries_between_threads) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  std::thread writing([&] {
    const std::string much(200'000, 'p');
    EXPECT_EQ(::write(writer, much.data(), much.size()), 200'000);
    writer.close();
  });
  char block[10'000];
  std::size_t taken = 0;
  for (ssize_t count = 1; count > 0; taken += static_cast<std::size_t>(std::max<ssize_t>(count, 0))) {
    count = ::read(reader, block, sizeof block);
    EXPECT_GE(count, 0);
  }
  writing.join();
  EXPECT_EQ(taken, 200'000U);
}

RIG_CONFORMANCE(a_socketpair_carries_and_ends) {
  auto [one, other] = local_pair();
  send_all(one, "local");
  EXPECT_EQ(look(other, POLLIN | POLLOUT), POLLIN | POLLOUT);
  EXPECT_EQ(receive(other, 5), "local");
  EXPECT_EQ(option_of(one, SOL_SOCKET, SO_DOMAIN), AF_UNIX);
  one.close();
  EXPECT_EQ(look(other, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP | POLLHUP);
  char byte = 0;
  EXPECT_EQ(::recv(other, &byte, 1, 0), 0);
  EXPECT_EQ(::send(other, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

RIG_CONFORMANCE(a_socketpair_is_shut_down_by_halves) {
  auto [one, other] = local_pair();
  EXPECT_EQ(::shutdown(one, SHUT_WR), 0);
  EXPECT_EQ(look(other, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
  send_all(other, "back");
  EXPECT_EQ(receive(one, 4), "back");
  char byte = 0;
  EXPECT_EQ(::send(one, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

RIG_CONFORMANCE(a_socketpair_with_unread_data_is_reset_by_close) {
  auto [one, other] = local_pair();
  send_all(one, "unread");
  other.close();
  EXPECT_EQ(look(one, POLLIN) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
  char byte = 0;
  EXPECT_EQ(::recv(one, &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(::recv(one, &byte, 1, 0), 0);
}

RIG_CONFORMANCE(a_full_socketpair_would_block) {
  auto [one, other] = local_pair();
  const std::size_t sent = fill(one);
  EXPECT_EQ(look(one, POLLOUT), 0);
  EXPECT_EQ(drain(other, sent), sent);
  EXPECT_EQ(look(one, POLLOUT), POLLOUT);
}

}  // namespace
}  // namespace rig::lab
