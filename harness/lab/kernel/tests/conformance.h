// What the conformance tests share: one body, run on the system's kernel and in the lab.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "harness/lab/lab.h"

namespace rig::lab {

enum class World : std::uint8_t { loopback, lab };

// patience_ms bounds each wait for something that must come.
inline constexpr int patience_ms = 20'000;

// Conformance runs its body in a world. The lab's seeds differ in when data arrive.
class Conformance : public testing::TestWithParam<World> {
 protected:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }

  template <class Body>
  void in_world(Body body) {
    if (GetParam() == World::loopback) {
      body();
      return;
    }
    for (std::uint64_t seed = 1; seed <= 24 && !HasFatalFailure(); ++seed) {
      Options options;
      options.seed = seed;
      options.first_descriptor = 100;  // a select must be able to take it
      SCOPED_TRACE("seed " + std::to_string(seed));
      run(options, body);
    }
  }
};

#define RIG_CONFORMANCE(name) \
  static void name##_body();  \
  TEST_P(Conformance, name) { \
    in_world(&name##_body);   \
  }                           \
  static void name##_body()

// Fd closes what it holds.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int descriptor) : descriptor_(descriptor) {}
  Fd(Fd&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Fd() { close(); }
  void close() {
    if (descriptor_ >= 0) {
      ::close(std::exchange(descriptor_, -1));
    }
  }
  int release() { return std::exchange(descriptor_, -1); }
  operator int() const { return descriptor_; }  // NOLINT: as calls take it

 private:
  int descriptor_ = -1;
};

// Tcp is a connection and the listener that it came from.
struct Tcp {
  Fd listener;
  Fd client;
  Fd server;
};

union AnyAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

struct Target {
  AnyAddress address{};
  socklen_t bytes = sizeof(AnyAddress);
};

Target loopback(int family, std::uint16_t port = 0);
Target name_of(int descriptor);
std::uint16_t port_of(const Target& target);
Fd listen_on(int family, int backlog = 16, int flags = 0);
// connect_to makes a blocking connection.
Fd connect_to(const Target& target);
// connected makes both ends, non-blocking unless asked otherwise, with buffers of that size if it is not 0.
Tcp connected(int family = AF_INET, bool nonblocking = true, int buffer = 0);
std::pair<Fd, Fd> local_pair();
std::pair<Fd, Fd> pipe_pair(int flags);

// wait_events polls until one of `events` is there (or an error or a hang-up) and answers all of them.
short wait_events(int descriptor, short events);
// look answers without waiting.
short look(int descriptor, short events);
// await polls until all of `all` are there.
bool await_all(int descriptor, short all);
void send_all(int descriptor, std::string_view text);
std::string receive(int descriptor, std::size_t bytes);
// fill sends until there is no room, and answers how much it was.
std::size_t fill(int descriptor);
std::size_t drain(int descriptor, std::size_t bytes);
int error_of(int descriptor);
int option_of(int descriptor, int level, int name);
void set_int(int descriptor, int level, int name, int value);
void reset_on_close(int descriptor);
Fd epoll_of(int descriptor, std::uint32_t events, std::uint64_t data = 7);
std::vector<epoll_event> epoll_now(int epoll, int timeout_ms = 0, int most = 8);

}  // namespace rig::lab
