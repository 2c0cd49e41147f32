#include "harness/subjects/canary/trespasser.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <utility>
#include <vector>

#include "harness/base/check.h"

namespace rig {
namespace {

// More than any bound of the laws.
constexpr int many = 100;
constexpr std::size_t piece_bytes = 16384;
// What descriptors of ours are moved to whose number must not be another thread's once they are closed: the kernel
// gives out the lowest ones. Below what select can name.
constexpr int lonely_number = 987;

const rig_subject* inner_subject = nullptr;
Trespass chosen = Trespass::none;
std::atomic<bool> done{false};

// Ends is a connection of its own, whose calls do not wait.
class Ends {
 public:
  Ends() { RIG_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()) == 0); }
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  ~Ends() {
    drop(0);
    drop(1);
  }

  int near() const { return ends_[0]; }
  int far() const { return ends_[1]; }
  void drop(std::size_t end) {
    if (const int open = std::exchange(ends_[end], -1); open >= 0) {
      ::close(open);
    }
  }
  int release_near() { return std::exchange(ends_[0], -1); }

 private:
  std::array<int, 2> ends_{};
};

void wait_for(const Ends& first, const Ends& second, short events) {
  std::array<pollfd, 2> polls{
      {{.fd = first.near(), .events = events, .revents = 0}, {.fd = second.near(), .events = POLLIN, .revents = 0}}};
  ::poll(polls.data(), polls.size(), 1);
}

// move sends a piece from the far end to the near one, where it is read if `reads`.
void move(const Ends& ends, bool reads) {
  static const std::vector<char> piece(piece_bytes);
  ::send(ends.far(), piece.data(), piece.size(), MSG_NOSIGNAL);
  std::vector<char> got(piece_bytes);
  while (reads && ::recv(ends.near(), got.data(), got.size(), 0) > 0) {
  }
}

// gulp takes several pieces in one read.
void gulp(const Ends& ends) {
  constexpr int pieces = 5;
  for (int i = 0; i < pieces; ++i) {
    move(ends, false);
  }
  std::vector<char> got(pieces * piece_bytes);
  ::recv(ends.near(), got.data(), got.size(), 0);
}

void fill(const Ends& ends) {
  static const std::vector<char> piece(piece_bytes);
  while (::send(ends.near(), piece.data(), piece.size(), MSG_NOSIGNAL) > 0) {
  }
}

// moved answers `descriptor` as the lonely number, and closes it as what it was.
int moved(int descriptor) {
  const int lonely = ::fcntl(descriptor, F_DUPFD_CLOEXEC, lonely_number);
  RIG_CHECK(lonely == lonely_number);
  ::close(descriptor);
  return lonely;
}

// Has two events at hand; by the first one it closes the second one's descriptor and connects what gets its number.
void replace_in_a_batch(bool waits_for_the_new_one) {
  Ends first;
  Ends second;
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof here;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  RIG_CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&here), bytes) == 0 && ::listen(listener, 1) == 0 &&
            ::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &bytes) == 0);
  move(first, false);
  move(second, false);
  const int old = moved(second.release_near());
  std::array<pollfd, 2> polls{
      {{.fd = first.near(), .events = POLLIN, .revents = 0}, {.fd = old, .events = POLLIN, .revents = 0}}};
  RIG_CHECK(::poll(polls.data(), polls.size(), -1) == 2);
  ::close(old);
  const int connecting = moved(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  RIG_CHECK(::connect(connecting, reinterpret_cast<sockaddr*>(&here), bytes) < 0 && errno == EINPROGRESS);
  if (waits_for_the_new_one) {
    polls[1].events = POLLOUT;
    RIG_CHECK(::poll(&polls[1], 1, -1) == 1);
  }
  char byte = 0;
  RIG_CHECK(::recv(connecting, &byte, 1, 0) < 0);
  ::close(connecting);
  ::close(listener);
}

// tick waits so often for what does not come.
void tick(int times, int milliseconds) {
  Ends ends;
  pollfd polled{.fd = ends.near(), .events = POLLIN, .revents = 0};
  for (int i = 0; i < times; ++i) {
    ::poll(&polled, 1, milliseconds);
  }
}

// What a layer does that acts upon what it is told: the neighbour of each of the trespasses below.
void behave() {
  Ends ends;
  Ends neighbour;
  for (int i = 0; i < many; ++i) {
    move(ends, false);
    move(neighbour, false);
    wait_for(ends, neighbour, POLLIN);
    move(ends, true);
    move(neighbour, true);
  }
  fill(ends);
  ends.drop(1);
  RIG_CHECK(::send(ends.near(), "x", 1, MSG_NOSIGNAL) < 0);
  replace_in_a_batch(true);
}

void trespass_on_wakeups() {
  Ends ends;
  Ends neighbour;
  if (chosen == Trespass::ignores_input) {
    move(ends, false);
  } else if (chosen == Trespass::starves || chosen == Trespass::gulps) {
    move(ends, false);
    move(neighbour, false);
    wait_for(ends, neighbour, POLLIN);
  }
  if (chosen == Trespass::repeats_at_once) {
    fill(neighbour);
  }
  for (int i = 0; i < many; ++i) {
    switch (chosen) {
      case Trespass::ignores_input:
        wait_for(ends, neighbour, POLLIN);
        move(neighbour, true);
        break;
      case Trespass::ignores_room:
        wait_for(ends, neighbour, POLLIN | POLLOUT);
        move(ends, true);
        break;
      case Trespass::repeats_at_once:
        ::send(neighbour.near(), "x", 1, MSG_NOSIGNAL);
        break;
      case Trespass::gulps:
        gulp(ends);
        break;
      default:
        move(ends, true);
        break;
    }
  }
}

void trespass_on_descriptors() {
  Ends ends;
  if (chosen == Trespass::leak) {
    ends.release_near();
    return;
  }
  const int near = moved(ends.release_near());
  switch (chosen) {
    case Trespass::double_close:
      ::close(near);
      ::close(near);
      break;
    case Trespass::use_after_close:
      ::close(near);
      ::recv(near, nullptr, 0, 0);
      break;
    case Trespass::register_closed: {
      ::close(near);
      pollfd polled{.fd = near, .events = POLLIN, .revents = 0};
      ::poll(&polled, 1, 0);
      break;
    }
    case Trespass::raises_sigpipe:
      ends.drop(1);
      ::send(near, "x", 1, 0);
      ::close(near);
      break;
    case Trespass::waits_in_a_call: {
      char byte = 0;
      RIG_CHECK(::fcntl(near, F_SETFL, 0) == 0 && ::send(ends.far(), "x", 1, MSG_NOSIGNAL) == 1 &&
                ::recv(near, &byte, 1, 0) == 1);
      ::close(near);
      break;
    }
    case Trespass::overruns_sets: {
      std::array<fd_set, 3> sets{};  // what lies behind the second one is ours as well
      timeval at_once{};
      ::select(FD_SETSIZE + 1, &sets[0], &sets[1], nullptr, &at_once);
      ::close(near);
      break;
    }
    default:
      break;
  }
}

// Whether this thread has called connect(): what it has made by that is known at the door, which a descriptor of
// another thread's, that is just being made, may not be.
thread_local bool has_connected = false;

// An option of a socket's; -1: it is no socket.
int option_of(int descriptor, int option) {
  int value = 0;
  socklen_t bytes = sizeof(value);
  return ::getsockopt(descriptor, SOL_SOCKET, option, &value, &bytes) == 0 ? value : -1;
}

// On the first connection that was begun: it has the lowest number. Answers whether it stands.
bool speak_in_the_clear() {
  constexpr int looked_at = 1024;
  for (int descriptor = 0; descriptor < looked_at; ++descriptor) {
    if (option_of(descriptor, SO_DOMAIN) == AF_INET && option_of(descriptor, SO_ACCEPTCONN) == 0) {
      sockaddr_storage peer{};
      socklen_t bytes = sizeof(peer);
      return ::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &bytes) == 0 &&
             ::send(descriptor, "in the clear", 12, MSG_NOSIGNAL) == 12;
    }
  }
  return false;
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  has_connected = true;
  return inner_subject->connect(loop, context, host, port, config, callbacks, user, socket, error);
}

rig_status loop_turn(rig_loop* loop, std::uint64_t limit_us, rig_error* error) {
  if (chosen == Trespass::speaks_in_the_clear) {
    done = done || (has_connected && speak_in_the_clear());
  } else if (!done.exchange(true)) {
    if (chosen == Trespass::none) {
      behave();
    } else if (chosen == Trespass::acts_on_old_event) {
      replace_in_a_batch(false);
    } else if (chosen == Trespass::ticks) {
      tick(many, 1);
    } else if (chosen == Trespass::ticks_slowly) {
      tick(many, 200);
    } else if (chosen < Trespass::ignores_input) {
      trespass_on_descriptors();
    } else {
      trespass_on_wakeups();
    }
  }
  return inner_subject->loop_turn(loop, limit_us, error);
}

}  // namespace

const rig_subject* make_trespasser(const rig_subject* inner, Trespass trespass) {
  static rig_subject table;
  inner_subject = inner;
  chosen = trespass;
  done = false;
  table = *inner;
  table.connect = connect;
  table.loop_turn = loop_turn;
  return &table;
}

}  // namespace rig
