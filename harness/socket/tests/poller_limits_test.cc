// The contract of a Poller, asked of all three kinds: what it refuses, and what happens at the limits.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/select.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <string_view>

#include "harness/socket/tests/allocations.h"
#include "harness/socket/tests/poller_fixture.h"

namespace rig {
namespace {

using namespace test;

class poller_limits : public PollerTest {};

INSTANTIATE_TEST_SUITE_P(all, poller_limits, testing::Values(PollerKind::epoll, PollerKind::poll, PollerKind::select),
                         kind_of);

TEST_P(poller_limits, refuses_what_it_cannot_register) {
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  const auto code_of = [](const Status& status) { return status ? Code::internal : status.error().code(); };
  EXPECT_EQ(code_of(poller_->add(pair.handle(), 2, read_only)), Code::invalid_argument);
  EXPECT_EQ(code_of(poller_->add(invalid_handle, 2, read_only)), Code::invalid_argument);
  EXPECT_EQ(code_of(poller_->modify(pair.handle(1), read_only)), Code::invalid_argument);
  EXPECT_EQ(code_of(poller_->remove(pair.handle(1))), Code::invalid_argument);
  EXPECT_EQ(code_of(poller_->modify(invalid_handle, read_only)), Code::invalid_argument);
  EXPECT_EQ(code_of(poller_->remove(invalid_handle)), Code::invalid_argument);
  EXPECT_EQ(poller_->registrations(), 1U);
  pair.write_from(1);
  EXPECT_EQ(wait(no_limit)[0].key, 1U);
}

TEST_P(poller_limits, a_handle_too_large_for_a_descriptor_is_refused_and_never_narrowed) {
  Pair pair;
  const NativeHandle wide((std::uint64_t{1} << 33) + static_cast<std::uint64_t>(pair.descriptor()));
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  for (const Status& status :
       {poller_->add(wide, 2, read_only), poller_->modify(wide, nothing), poller_->remove(wide)}) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), Code::invalid_argument);
  }
  pair.write_from(1);
  EXPECT_EQ(wait(no_limit).size(), 1U);
}

TEST_P(poller_limits, descriptor_zero_is_a_handle_like_any_other) {
  const int saved = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  {
    Pair pair;
    pair.move_to(0);
    ASSERT_TRUE(poller_->add(named(0), 1, read_only));
    pair.write_from(1);
    const auto ready = wait(no_limit);
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].handle.value(), 0U);
    ASSERT_TRUE(poller_->modify(named(0), write_only));
    EXPECT_TRUE(wait(no_limit)[0].writable);
    ASSERT_TRUE(poller_->remove(named(0)));
  }
  if (saved >= 0) {
    EXPECT_EQ(::dup2(saved, 0), 0);
    ::close(saved);
  }
}

// highest_descriptor makes room for descriptors as high as 70000, or as high as this system lets us, and returns it.
int highest_descriptor() {
  rlimit limit{};
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit wanted{.rlim_cur = 70001, .rlim_max = std::max<rlim_t>(limit.rlim_max, 70001)};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
    wanted = {.rlim_cur = std::min<rlim_t>(limit.rlim_max, 70001), .rlim_max = limit.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &wanted), 0);
  }
  return static_cast<int>(wanted.rlim_cur) - 1;
}

TEST_P(poller_limits, high_descriptors_work_or_are_refused_in_words) {
  const int highest = highest_descriptor();
  ASSERT_GT(highest, FD_SETSIZE) << "the system allows too few descriptors for this test";
  for (const int number : {FD_SETSIZE - 1, FD_SETSIZE, FD_SETSIZE + 1, highest}) {
    Pair pair;
    pair.move_to(number);
    pair.write_from(1);
    const Status added = poller_->add(named(number), 1, read_only);
    if (GetParam() == PollerKind::select && number >= FD_SETSIZE) {
      ASSERT_FALSE(added);
      EXPECT_EQ(added.error().code(), Code::no_descriptors);
      EXPECT_EQ(added.error().detail(), "select takes descriptors below 1024 only, and this one is " +
                                            std::to_string(number) + ": use epoll or poll");
      EXPECT_EQ(poller_->registrations(), 0U);
      EXPECT_TRUE(wait(0).empty());
      continue;
    }
    ASSERT_TRUE(added) << added.error().detail();
    const auto ready = wait(no_limit);
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].handle, named(number));
    ASSERT_TRUE(poller_->remove(named(number)));
  }
}

TEST_P(poller_limits, is_not_made_or_says_so_when_no_low_descriptor_is_free) {
  highest_descriptor();
  std::vector<int> fillers;
  while (fillers.empty() || fillers.back() < FD_SETSIZE - 1) {
    fillers.push_back(::dup(2));
    ASSERT_GE(fillers.back(), 0);
  }
  auto made = make_poller(GetParam());
  if (GetParam() == PollerKind::select) {
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), Code::no_descriptors);
    EXPECT_NE(made.error().detail().find("select takes descriptors below 1024 only"), std::string_view::npos);
  } else {
    ASSERT_TRUE(made);
    (*made)->wake();
    EXPECT_EQ((*made)->wait({}, no_limit), 0U);
  }
  for (const int filler : fillers) {
    ::close(filler);
  }
}

TEST_P(poller_limits, is_refused_when_the_process_has_no_descriptor_left) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(2);
  ::close(next);
  // With room for no descriptor the eventfd fails; with room for one, what comes behind it.
  for (const rlim_t room : {0U, 1U}) {
    const rlimit none{.rlim_cur = static_cast<rlim_t>(next) + room, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    const auto made = make_poller(GetParam());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    if (room == 0 || GetParam() == PollerKind::epoll) {
      ASSERT_FALSE(made);
      EXPECT_EQ(made.error().code(), Code::no_descriptors);
    } else {
      EXPECT_TRUE(made);
    }
  }
}

TEST_P(poller_limits, without_memory_only_making_and_adding_are_refused) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Pair pair;
  const auto attempt = [&](std::uint64_t allowed) {
    const FailingAllocations failing(allowed);
    return poller_->add(pair.handle(), 1, read_only);
  };
  std::uint64_t needed = 0;
  for (Status added = attempt(0); !added; added = attempt(++needed)) {
    ASSERT_EQ(added.error().code(), Code::no_memory);
    ASSERT_EQ(poller_->registrations(), 0U);
  }
  EXPECT_GT(needed, 0U);
  pair.write_from(1);
  std::array<Ready, 4> ready;
  std::size_t count = 0;
  bool modified = false;
  bool removed = false;
  {
    const FailingAllocations failing;
    modified = poller_->modify(pair.handle(), both).has_value();
    count = poller_->wait(ready, no_limit).value_or(0);
    removed = poller_->remove(pair.handle()).has_value();
  }
  EXPECT_TRUE(modified);
  EXPECT_EQ(count, 1U);
  EXPECT_TRUE(removed);

  const auto make = [&](std::uint64_t allowed) {
    const FailingAllocations failing(allowed);
    return make_poller(GetParam());
  };
  needed = 0;
  for (auto made = make(0); !made; made = make(++needed)) {
    ASSERT_EQ(made.error().code(), Code::no_memory);
  }
  EXPECT_GT(needed, 0U);
}

TEST_P(poller_limits, no_verb_touches_errno) {
  Pair pair;
  errno = EXDEV;
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  poller_->wake();
  wait(no_limit);
  wait(0);
  ASSERT_TRUE(poller_->remove(pair.handle()));
  EXPECT_FALSE(poller_->remove(pair.handle()));
  poller_.reset();
  EXPECT_EQ(errno, EXDEV);
}

TEST_P(poller_limits, a_slot_is_used_again_and_many_handles_fit) {
  std::vector<Pair> pairs(100);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      ASSERT_TRUE(poller_->add(pairs[i].handle(), 1000 * static_cast<std::uint64_t>(round) + i, write_only));
    }
    EXPECT_EQ(poller_->registrations(), pairs.size());
    std::set<std::uint64_t> keys;
    for (const Ready& ready : wait(no_limit, 200)) {
      keys.insert(ready.key - 1000 * static_cast<std::uint64_t>(round));
    }
    EXPECT_EQ(keys.size(), pairs.size());
    EXPECT_EQ(*keys.rbegin(), pairs.size() - 1);
    for (const Pair& pair : pairs) {
      ASSERT_TRUE(poller_->remove(pair.handle()));
    }
  }
  EXPECT_EQ(poller_->registrations(), 0U);
}

TEST(poller_misuse, a_handle_closed_without_remove_does_no_harm_to_the_others) {
  for (const PollerKind kind : {PollerKind::epoll, PollerKind::poll}) {
    auto made = make_poller(kind);
    ASSERT_TRUE(made);
    Poller& under_test = **made;
    Pair closed;
    Pair open;
    open.write_from(1);
    const NativeHandle gone = closed.handle();
    ASSERT_TRUE(under_test.add(gone, 1, read_only));
    ASSERT_TRUE(under_test.add(open.handle(), 2, read_only));
    closed.close_end(0);
    std::array<Ready, 4> ready;
    const auto count = under_test.wait(ready, no_limit);
    ASSERT_TRUE(count);
    EXPECT_TRUE(std::any_of(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(*count),
                            [](const Ready& report) { return report.key == 2; }));
    if (kind == PollerKind::epoll) {
      EXPECT_EQ(under_test.modify(gone, nothing).error().code(), Code::invalid_argument);
    }
    EXPECT_TRUE(under_test.remove(gone));
    EXPECT_EQ(under_test.registrations(), 1U);
  }
}

TEST(poller_misuse, select_says_which_call_a_closed_handle_broke) {
  auto made = make_poller(PollerKind::select);
  ASSERT_TRUE(made);
  Pair closed;
  const NativeHandle gone = closed.handle();
  ASSERT_TRUE((*made)->add(gone, 1, read_only));
  closed.close_end(0);
  const auto count = (*made)->wait({}, no_limit);
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code(), Code::invalid_argument);
  EXPECT_EQ(count.error().number(), EBADF);
}

TEST(poller_misuse, epoll_says_what_it_cannot_watch) {
  auto made = make_poller(PollerKind::epoll);
  ASSERT_TRUE(made);
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const Status added = (*made)->add(named(::fileno(file)), 1, read_only);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), Code::refused_by_system);
  EXPECT_EQ((*made)->registrations(), 0U);
  std::fclose(file);
}

}  // namespace
}  // namespace rig
