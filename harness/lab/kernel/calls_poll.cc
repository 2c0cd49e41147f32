// The functions that wait for several descriptors.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "harness/lab/kernel/calls.h"
#include "harness/lab/kernel/epoll.h"

using namespace rig;
using namespace rig::lab;

namespace rig::lab {
namespace {

RIG_LAB_REAL(poll);
RIG_LAB_REAL(ppoll);
RIG_LAB_REAL(select);
RIG_LAB_REAL(pselect);
RIG_LAB_REAL(epoll_create);
RIG_LAB_REAL(epoll_create1);
RIG_LAB_REAL(epoll_ctl);
RIG_LAB_REAL(epoll_wait);
RIG_LAB_REAL(epoll_pwait);

constexpr std::uint32_t bad = POLLNVAL;
constexpr std::int64_t ms_ns = 1'000'000;

// Polled is one descriptor of a poll or select.
struct Polled {
  int descriptor;
  std::uint32_t wanted;
  File* file = nullptr;
  std::uint32_t found = 0;
};

enum class Whose : std::uint8_t { lab, system };

// whose says who answers a poll. One that mixes the lab's descriptors with the system's cannot be answered.
Whose whose(const char* call, std::span<const Polled> polled, bool may_wait) {
  std::size_t here = 0;
  std::size_t elsewhere = 0;
  for (const Polled& one : polled) {
    here += is_virtual(one.descriptor) ? 1 : 0;
    elsewhere += is_virtual(one.descriptor) ? 0 : 1;
  }
  if (elsewhere > 0 && here > 0) {
    refuse(call, "of virtual descriptors together with the system's");
  }
  if (elsewhere > 0 && may_wait) {
    refuse(call, "with a wait, of the system's descriptors");
  }
  return elsewhere > 0 ? Whose::system : Whose::lab;
}

int look(std::span<Polled> polled) {
  int count = 0;
  for (Polled& one : polled) {
    one.found = one.file != nullptr ? one.file->ready() & (one.wanted | POLLERR | POLLHUP) : bad;
    count += one.found != 0 ? 1 : 0;
  }
  return count;
}

bool pretend(std::span<Polled> polled, const Fault& fault) {
  for (Polled& one : polled) {
    const std::uint32_t wanted = one.wanted & (POLLIN | POLLOUT);
    if (one.file != nullptr && wanted != 0 && lies_at(fault, one.file->place())) {
      one.found = (wanted & POLLIN) != 0 ? POLLIN : POLLOUT;
      return true;
    }
  }
  return false;
}

// wait_ready is what poll and select do: 0 or more descriptors that are ready, or minus an errno.
Answer wait_ready(Op op, std::span<Polled> polled, std::int64_t timeout_ns, int& noise) {
  Kernel& all = kernel();
  std::vector<File*> files;
  std::vector<Place> places;
  std::vector<std::unique_ptr<Pin>> pins;
  for (Polled& one : polled) {
    one.file = all.descriptors.find(one.descriptor);
    if (one.file != nullptr) {
      files.push_back(one.file);
      places.push_back(one.file->place());
      pins.push_back(std::make_unique<Pin>(*one.file));
    }
  }
  Struck struck = all.faults.at_call(op, places, timeout_ns != 0);
  noise = struck.noise;
  if (struck.error != 0) {
    return -struck.error;
  }
  const std::int64_t deadline_ns = deadline_after(timeout_ns);
  while (true) {
    const int count = look(polled);
    if (count > 0) {
      return count;
    }
    if (struck.spurious && pretend(polled, *struck.spurious)) {
      return 1;
    }
    if (timeout_ns == 0) {
      return 0;
    }
    if (all.faults.interrupts(struck)) {
      return -EINTR;
    }
    if (!all.wait_any(op, files, deadline_ns)) {
      return look(polled);  // the system looks once more before it tells of its time
    }
  }
}

int poll_here(pollfd* polls, nfds_t count, std::int64_t timeout_ns, const void* caller) {
  const int before = errno;
  point(Op::poll, caller);
  const Unwatched unwatched;
  kernel().advance();
  user_reads(polls, count * sizeof(pollfd));
  std::vector<Polled> polled;
  for (nfds_t i = 0; i < count; ++i) {
    if (polls[i].fd >= 0) {
      polled.push_back({.descriptor = polls[i].fd, .wanted = static_cast<unsigned short>(polls[i].events)});
    }
  }
  int noise = 0;
  const Answer answer = wait_ready(Op::poll, polled, timeout_ns, noise);
  std::size_t at = 0;
  for (nfds_t i = 0; i < count && answer >= 0; ++i) {
    polls[i].revents = polls[i].fd >= 0 ? static_cast<short>(polled[at++].found) : short{0};
    user_writes(&polls[i].revents, sizeof polls[i].revents);
  }
  event(Op::poll, static_cast<std::int64_t>(count), answer);
  return static_cast<int>(finish(answer, before, noise));
}

std::vector<Polled> polled_of(const pollfd* polls, nfds_t count) {
  std::vector<Polled> polled;
  for (nfds_t i = 0; i < count; ++i) {
    if (polls[i].fd >= 0) {
      polled.push_back({.descriptor = polls[i].fd, .wanted = 0});
    }
  }
  return polled;
}

// Sets are words of bits, of which a caller may have more than FD_SETSIZE.
bool is_set(const fd_set* set, int descriptor) {
  const auto* words = reinterpret_cast<const unsigned long*>(set);
  return set != nullptr && (words[descriptor / 64] >> (descriptor % 64) & 1) != 0;
}

void put(fd_set* set, int descriptor, bool on) {
  if (set != nullptr) {
    auto& word = reinterpret_cast<unsigned long*>(set)[descriptor / 64];
    const unsigned long bit = 1UL << (descriptor % 64);
    word = on ? word | bit : word & ~bit;
  }
}

constexpr std::uint32_t select_in = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
constexpr std::uint32_t select_out = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;

std::vector<Polled> polled_of(int count, const fd_set* in, const fd_set* out, const fd_set* odd) {
  std::vector<Polled> polled;
  for (int i = 0; i < count; ++i) {
    std::uint32_t wanted = is_set(in, i) ? select_in : 0;
    wanted |= is_set(out, i) ? select_out : 0;
    wanted |= is_set(odd, i) ? std::uint32_t{POLLPRI} : 0;
    if (wanted != 0) {
      polled.push_back({.descriptor = i, .wanted = wanted});
    }
  }
  return polled;
}

int select_here(int count, fd_set* in, fd_set* out, fd_set* odd, std::int64_t timeout_ns, const void* caller) {
  const int before = errno;
  point(Op::select, caller);
  const Unwatched unwatched;
  kernel().advance();
  std::vector<Polled> polled = polled_of(count, in, out, odd);
  int noise = 0;
  Answer answer = -EBADF;
  const bool open = std::ranges::all_of(
      polled, [](const Polled& one) { return kernel().descriptors.find(one.descriptor) != nullptr; });
  if (open) {
    answer = wait_ready(Op::select, polled, timeout_ns, noise);
  }
  if (answer >= 0) {
    int bits = 0;
    for (const Polled& one : polled) {
      const bool reads = is_set(in, one.descriptor) && (one.found & select_in) != 0;
      const bool writes = is_set(out, one.descriptor) && (one.found & select_out) != 0;
      const bool urgent = is_set(odd, one.descriptor) && (one.found & POLLPRI) != 0;
      put(in, one.descriptor, reads);
      put(out, one.descriptor, writes);
      put(odd, one.descriptor, urgent);
      bits += (reads ? 1 : 0) + (writes ? 1 : 0) + (urgent ? 1 : 0);
    }
    answer = bits;
  }
  event(Op::select, count, answer);
  return static_cast<int>(finish(answer, before, noise));
}

// select_within is select_here for two sets that lie within each other, one bit of which may mean two descriptors: it
// goes by what each holds within FD_SETSIZE of descriptors that are open here, so that the run comes to its verdict.
int select_within(fd_set* in, fd_set* out, std::int64_t timeout_ns, const void* caller) {
  fd_set own_in;
  fd_set own_out;
  FD_ZERO(&own_in);
  FD_ZERO(&own_out);
  for (int i = 0; i < FD_SETSIZE; ++i) {
    if (is_virtual(i) && kernel().descriptors.find(i) != nullptr) {
      put(&own_in, i, is_set(in, i));
      put(&own_out, i, is_set(out, i));
    }
  }
  const int answer = select_here(FD_SETSIZE, &own_in, &own_out, nullptr, timeout_ns, caller);
  if (answer >= 0) {
    std::memcpy(in, &own_in, sizeof own_in);
    std::memcpy(out, &own_out, sizeof own_out);
  }
  return answer;
}

Answer wait_epoll(File& file, epoll_event* events, int count, int timeout_ms, int& noise) {
  auto* epoll = dynamic_cast<Epoll*>(&file);
  if (epoll == nullptr || count <= 0) {
    return -EINVAL;
  }
  Kernel& all = kernel();
  Struck struck = all.faults.at_call(Op::epoll_wait, epoll->places(), timeout_ms != 0);
  noise = struck.noise;
  if (struck.error != 0) {
    return -struck.error;
  }
  const std::int64_t deadline_ns = deadline_after(timeout_ms < 0 ? -1 : timeout_ms * ms_ns);
  while (true) {
    if (const int found = epoll->collect({events, static_cast<std::size_t>(count)}); found > 0) {
      return found;
    }
    if (struck.spurious && epoll->pretend(*struck.spurious, *events)) {
      return 1;
    }
    if (timeout_ms == 0) {
      return 0;
    }
    if (all.faults.interrupts(struck)) {
      return -EINTR;
    }
    if (!all.wait(Op::epoll_wait, file, deadline_ns)) {
      return epoll->collect({events, static_cast<std::size_t>(count)});  // as in wait_ready()
    }
  }
}

int epoll_wait_here(int descriptor, epoll_event* events, int count, int timeout_ms, const void* caller) {
  const int before = errno;
  point(Op::epoll_wait, caller);
  const Unwatched unwatched;
  kernel().advance();
  Answer answer = -EBADF;
  int noise = 0;
  if (File* file = kernel().descriptors.find(descriptor)) {
    const Pin pin(*file);
    answer = wait_epoll(*file, events, count, timeout_ms, noise);
  }
  event(Op::epoll_wait, descriptor, answer);
  return static_cast<int>(finish(answer, before, noise));
}

// wait_on_epoll is epoll_wait or epoll_pwait, of which `real` is the system's.
template <class Real>
int wait_on_epoll(const char* function, int epoll, epoll_event* events, int count, int timeout_ms, const void* caller,
                  Real&& real) {
  const KernelWait wait{.kind = KernelWait::Kind::epoll,
                        .function = function,
                        .caller = caller,
                        .blocks = timeout_ms != 0,
                        .descriptor = epoll,
                        .events = events};
  return wait_through_kernel_door(wait, [&]() -> int {
    if (!is_virtual(epoll)) {
      if (!outside() && timeout_ms != 0) {
        refuse(function, "on an epoll that is older than the run");
      }
      return real();
    }
    return epoll_wait_here(epoll, events, count, timeout_ms, caller);
  });
}

std::int64_t span_ns(const timespec* time) {
  return time == nullptr ? -1 : time->tv_sec * 1'000'000'000 + time->tv_nsec;
}

}  // namespace
}  // namespace rig::lab

RIG_LAB_EXPORT int poll(pollfd* polls, nfds_t count, int timeout_ms) {
  const void* const caller = RIG_LAB_CALLER;
  const KernelWait wait{.kind = KernelWait::Kind::poll,
                        .function = "poll",
                        .caller = caller,
                        .blocks = timeout_ms != 0,
                        .polls = {polls, count}};
  return wait_through_kernel_door(wait, [&]() -> int {
    const OwnWork own_work;
    if (outside() || whose("poll", polled_of(polls, count), timeout_ms != 0) == Whose::system) {
      return real_poll(polls, count, timeout_ms);
    }
    return poll_here(polls, count, timeout_ms < 0 ? -1 : timeout_ms * ms_ns, caller);
  });
}

// No signal reaches a run from outside, so that masks have nothing to hold off.
RIG_LAB_EXPORT int ppoll(pollfd* polls, nfds_t count, const timespec* time, const sigset_t* mask) {
  const void* const caller = RIG_LAB_CALLER;
  const KernelWait wait{.kind = KernelWait::Kind::poll,
                        .function = "ppoll",
                        .caller = caller,
                        .blocks = span_ns(time) != 0,
                        .polls = {polls, count}};
  return wait_through_kernel_door(wait, [&]() -> int {
    const OwnWork own_work;
    if (outside() || whose("ppoll", polled_of(polls, count), span_ns(time) != 0) == Whose::system) {
      return real_ppoll(polls, count, time, mask);
    }
    return poll_here(polls, count, span_ns(time), caller);
  });
}

RIG_LAB_EXPORT int __poll_chk(pollfd* polls, nfds_t count, int timeout_ms, size_t room) {
  if (room / sizeof *polls < count) {
    __chk_fail();
  }
  return poll(polls, count, timeout_ms);
}

RIG_LAB_EXPORT int __ppoll_chk(pollfd* polls, nfds_t count, const timespec* time, const sigset_t* mask, size_t room) {
  if (room / sizeof *polls < count) {
    __chk_fail();
  }
  return ppoll(polls, count, time, mask);
}

RIG_LAB_EXPORT int select(int count, fd_set* in, fd_set* out, fd_set* odd, timeval* time) {
  const void* const caller = RIG_LAB_CALLER;
  const KernelWait wait{.kind = KernelWait::Kind::select,
                        .function = "select",
                        .caller = caller,
                        .blocks = time == nullptr || time->tv_sec != 0 || time->tv_usec != 0,
                        .count = count,
                        .in = in,
                        .out = out};
  return wait_through_kernel_door(wait, [&]() -> int {
    const OwnWork own_work;
    const std::int64_t timeout_ns = time == nullptr ? -1 : (time->tv_sec * 1'000'000 + time->tv_usec) * 1000;
    if (!outside() && sets_overlap(wait)) {
      return select_within(in, out, timeout_ns, caller);
    }
    if (outside() || whose("select", polled_of(count, in, out, odd), timeout_ns != 0) == Whose::system) {
      return real_select(count, in, out, odd, time);
    }
    const std::int64_t began_ns = now_ns();
    const int answer = select_here(count, in, out, odd, timeout_ns, caller);
    if (time != nullptr) {
      // As Linux: what is left of the time.
      const std::int64_t left_us = std::max<std::int64_t>(0, timeout_ns - (now_ns() - began_ns)) / 1000;
      *time = {.tv_sec = left_us / 1'000'000, .tv_usec = left_us % 1'000'000};
    }
    return answer;
  });
}

RIG_LAB_EXPORT int pselect(int count, fd_set* in, fd_set* out, fd_set* odd, const timespec* time,
                           const sigset_t* mask) {
  const void* const caller = RIG_LAB_CALLER;
  const KernelWait wait{.kind = KernelWait::Kind::select,
                        .function = "pselect",
                        .caller = caller,
                        .blocks = span_ns(time) != 0,
                        .count = count,
                        .in = in,
                        .out = out};
  return wait_through_kernel_door(wait, [&]() -> int {
    const OwnWork own_work;
    if (outside() || whose("pselect", polled_of(count, in, out, odd), span_ns(time) != 0) == Whose::system) {
      return real_pselect(count, in, out, odd, time, mask);
    }
    return select_here(count, in, out, odd, span_ns(time), caller);
  });
}

RIG_LAB_EXPORT int epoll_create1(int flags) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door({.verb = KernelVerb::open, .function = "epoll_create1", .caller = caller}, [&]() -> int {
    if (outside()) {
      return real_epoll_create1(flags);
    }
    return static_cast<int>(on_nothing(Op::epoll_create, caller, [&]() -> Answer {
      return (flags & ~EPOLL_CLOEXEC) != 0 ? -EINVAL : open_file(new Epoll, flags != 0, false);
    }));
  });
}

RIG_LAB_EXPORT int epoll_create(int size) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door({.verb = KernelVerb::open, .function = "epoll_create", .caller = caller}, [&]() -> int {
    if (outside()) {
      return real_epoll_create(size);
    }
    return static_cast<int>(on_nothing(Op::epoll_create, caller, [&]() -> Answer {
      return size <= 0 ? -EINVAL : open_file(new Epoll, false, false);
    }));
  });
}

RIG_LAB_EXPORT int epoll_ctl(int epoll, int operation, int descriptor, epoll_event* event) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  const KernelCall call{.verb = KernelVerb::watch,
                        .function = "epoll_ctl",
                        .descriptor = epoll,
                        .caller = caller,
                        .operation = operation,
                        .other = descriptor,
                        .events = event != nullptr ? event->events : 0,
                        .data = event != nullptr ? event->data.u64 : 0};
  return through_kernel_door(call, [&]() -> int {
    if (!is_virtual(epoll)) {
      if (is_virtual(descriptor)) {
        refuse("epoll_ctl", "of a virtual descriptor in an epoll that is older than the run");
      }
      return real_epoll_ctl(epoll, operation, descriptor, event);
    }
    if (descriptor >= 0 && !is_virtual(descriptor)) {
      refuse("epoll_ctl", "of the system's descriptor in a virtual epoll");
    }
    return static_cast<int>(on_file(Op::epoll_ctl, epoll, caller, 0, [&](File& file, bool, Struck&) -> Answer {
      File* watched = kernel().descriptors.find(descriptor);
      if (watched == nullptr) {
        return -EBADF;
      }
      auto* here = dynamic_cast<Epoll*>(&file);
      return here != nullptr ? here->control_item(operation, descriptor, *watched, event) : -EINVAL;
    }));
  });
}

RIG_LAB_EXPORT int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
  return wait_on_epoll("epoll_wait", epoll, events, count, timeout_ms, RIG_LAB_CALLER,
                       [&] { return real_epoll_wait(epoll, events, count, timeout_ms); });
}

RIG_LAB_EXPORT int epoll_pwait(int epoll, epoll_event* events, int count, int timeout_ms, const sigset_t* mask) {
  return wait_on_epoll("epoll_pwait", epoll, events, count, timeout_ms, RIG_LAB_CALLER,
                       [&] { return real_epoll_pwait(epoll, events, count, timeout_ms, mask); });
}
