// The fixture and the sockets that the tests of the pollers share.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/socket/poller.h"

namespace rig::test {

inline constexpr Interest nothing{};
inline constexpr Interest read_only{.readable = true, .writable = false};
inline constexpr Interest write_only{.readable = false, .writable = true};
inline constexpr Interest both{.readable = true, .writable = true};
inline constexpr std::int64_t no_limit = -1;

inline NativeHandle named(int descriptor) {
  return NativeHandle(static_cast<std::uint64_t>(descriptor));
}

// Pair is two connected stream sockets.
class Pair {
 public:
  Pair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()), 0); }
  ~Pair() {
    close_end(0);
    close_end(1);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  int descriptor(std::size_t end = 0) const { return ends_[end]; }
  NativeHandle handle(std::size_t end = 0) const { return named(ends_[end]); }
  void write_from(std::size_t end) const { EXPECT_EQ(::write(ends_[end], "x", 1), 1); }
  void read_at(std::size_t end) const {
    std::array<char, 64> storage{};
    EXPECT_GT(::read(ends_[end], storage.data(), storage.size()), 0);
  }
  void close_end(std::size_t end) {
    if (ends_[end] >= 0) {
      ::close(std::exchange(ends_[end], -1));
    }
  }
  // move_to gives end 0 another descriptor.
  void move_to(int descriptor) {
    ASSERT_EQ(::dup2(ends_[0], descriptor), descriptor);
    ::close(std::exchange(ends_[0], descriptor));
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

// PollerTest is a test of one kind of poller.
class PollerTest : public testing::TestWithParam<PollerKind> {
 protected:
  void SetUp() override {
    auto made = make_poller(GetParam());
    ASSERT_TRUE(made) << made.error().detail();
    poller_ = std::move(*made);
  }

  std::vector<Ready> wait(std::int64_t timeout_us, std::size_t room = 16) {
    std::vector<Ready> ready(room);
    const auto count = poller_->wait(ready, timeout_us);
    EXPECT_TRUE(count) << count.error().detail();
    ready.resize(count.value_or(0));
    return ready;
  }

  bool sees_failures() const { return GetParam() != PollerKind::select; }

  std::unique_ptr<Poller> poller_;
};

inline std::string kind_of(const testing::TestParamInfo<PollerKind>& info) {
  return std::string(poller_kind_name(info.param));
}

}  // namespace rig::test
